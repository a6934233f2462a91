/**
 * A neighbour who may create in the schema `public` and has no privilege on our tables. Functions and
 * operators of it carry the names of those that a statement calls, with the very types that it has
 * there. So the server prefers them to the built-in ones wherever it prefers anything to these.
 */

import type postgres from "postgres";
import type { PostgresClient } from "../../../mod.ts";
import { connect } from "../../support/database.ts";
import type { Arena } from "./arena.ts";
import { type CallSite, callSitesOf, operatorsOf } from "./call_sites.ts";

/** Types that operands of ours have or could have. */
const TYPES = [
  "text",
  "bigint",
  "integer",
  "boolean",
  "bigint[]",
  "integer[]",
  "text[]",
  "name",
  "numeric",
  "double precision",
  "timestamptz",
  "interval",
  "xid8",
  "xid",
  "jsonb",
  "json",
  "regclass",
  "oid",
  "pg_snapshot",
  `"char"`,
  "record",
]; // deno-fmt-ignore

/** Types of the calls that the server was not asked about, because it does not get there. */
const USUAL = ["text", "name", "oid", "regclass", "bigint", "integer", "boolean", "text[]", "oid[]"];

/** What code of the attacker raises, so that no run of it goes unseen. */
export const SPRUNG = "AT001";

/** What statements of ours fail with on purpose: a name that does not exist, or exists already. */
const NO_CAPTURE = ["42P01", "42P07", "42701", "42710", "42723"];

/** A statement that ran code of the attacker's, or would have. */
export interface Capture {
  /** The function or the operator. */
  readonly culprit: string;
  readonly text: string;
}

/** The attacker, and what fell for it. */
export class Attacker implements AsyncDisposable {
  /** What fell for the attacker. */
  readonly captures: Capture[] = [];
  /** All statements that went through {@linkcode ambush}. */
  readonly texts: Set<string> = new Set();
  readonly #sql: postgres.Sql & AsyncDisposable;
  readonly #admin: postgres.Sql;
  readonly #made = new Map<string, Promise<void>>();
  #queue: Promise<void> = Promise.resolve();

  constructor({ admin, neighbour }: Arena) {
    this.#admin = admin;
    this.#sql = connect(neighbour.url);
  }

  /** What fell for the attacker, each function or operator once, with one of its statements. */
  findings(): string[] {
    const byCulprit = new Map(this.captures.map(({ culprit, text }) => [culprit, text]));
    return [...byCulprit].map(([culprit, text]) => `${culprit}: ${text.slice(0, 200)}`).sort();
  }

  /** A client that lets the attacker see each new statement before it is sent. */
  ambush(client: PostgresClient): PostgresClient {
    return {
      ...client,
      query: async (text, params) => {
        await this.#prepareFor(text);
        for (;;) {
          try {
            return await client.query(text, params);
          } catch (error) {
            const culprit = culpritOf(error);
            if (culprit !== undefined) this.captures.push({ culprit, text });
            // Without it the statement shows what else there is, and the caller gets an answer.
            if (culprit === undefined || !await this.#drop(culprit)) throw error;
          }
        }
      },
      ...client.listen && { listen: client.listen.bind(client) },
    };
  }

  /** Makes whatever could take the place of what a statement calls. */
  #prepareFor(text: string): Promise<void> {
    this.texts.add(text);
    // Numbers in the text are settings, or count tables. They change no type unless they are large.
    const kind = text.replace(/\b\d{1,9}\b|_\d+/g, "7");
    let made = this.#made.get(kind);
    if (made === undefined) {
      made = this.#queue.then(() => this.#makeFor(text));
      this.#queue = made.catch(() => {});
      this.#made.set(kind, made);
    }
    return made;
  }

  async #makeFor(text: string): Promise<void> {
    const wanted = new Map<string, () => Promise<void>>();
    for (const operator of operatorsOf(text)) {
      wanted.set(`operator ${operator}`, () => this.#makeOperators(operator));
    }
    for (const site of await callSitesOf(this.#admin, text)) {
      wanted.set(`${site.name}(${site.types})`, () => this.#makeFunctions(site));
    }
    for (const [what, make] of wanted) {
      if (this.#made.has(what)) continue;
      const made = make();
      this.#made.set(what, made);
      await made;
    }
  }

  async #makeFunctions({ name, types }: CallSite): Promise<void> {
    const lists = types === undefined
      ? [...USUAL.map((type) => [type]), ...USUAL.flatMap((a) => USUAL.map((b) => [a, b]))]
      : readingsOf(types);
    await this.#sql.unsafe(MAKE_FUNCTIONS(name, lists));
  }

  async #makeOperators(operator: string): Promise<void> {
    await this.#sql.unsafe(MAKE_OPERATORS(operator));
  }

  /** Drops the attacker's functions of a name. Returns whether there were any. */
  async #drop(culprit: string): Promise<boolean> {
    const functions = await this.#sql`
      select p.oid::regprocedure::text as found from pg_catalog.pg_proc p
      where p.proname operator(pg_catalog.=) ${culprit}::pg_catalog.name
        and p.pronamespace operator(pg_catalog.=) 'public'::regnamespace::oid`;
    for (const { found } of functions) {
      await this.#sql.unsafe(`drop function if exists ${found} cascade`);
    }
    return functions.length > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql.end({ timeout: 5 });
  }
}

/**
 * The attacker's function that a statement refers to, by the error of the statement; `undefined` for
 * any other error. Only superusers may run these functions, so the server refuses a statement for
 * others also where it would not reach the call.
 */
function culpritOf(error: unknown): string | undefined {
  const { code, message } = error as { code?: string; message: string };
  if (code === SPRUNG) return /^(.*) ran as /.exec(message)?.[1];
  if (code === "42501") return /permission denied for function (.*)$/.exec(message)?.[1];
  // A function took the place of another that has a result, a parameter or a kind of its own.
  return code?.startsWith("42") && !NO_CAPTURE.includes(code) || code === "22P02"
    ? message
    : undefined;
}

/** The lists of types that can take a list with bare literals in it. Such a literal prefers text. */
function readingsOf(types: readonly string[]): string[][] {
  const asText = types.map((type) => type.replace(/\bunknown$/, "text"));
  const others = types.flatMap((type, index) =>
    type === "unknown" ? TYPES.map((other) => asText.with(index, other)) : []
  );
  return [asText, ...others];
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function textArray(values: readonly string[]): string {
  return `array[${values.map(literal).join(", ")}]::pg_catalog.text[]`;
}

/**
 * Functions with these argument lists, of the result that the built-in of the name has. What exists in
 * `pg_catalog` with the very same types comes first on the search path and is left out.
 */
const MAKE_FUNCTIONS = (name: string, lists: readonly string[][]) =>
  `do $make$
declare
  args pg_catalog.text;
  result pg_catalog.text;
  element pg_catalog.text;
begin
  select case when p.proretset then 'setof ' else '' end || case
    when p.prorettype::pg_catalog.regtype::pg_catalog.text ~~ 'any%array' then 'element[]'
    when p.prorettype::pg_catalog.regtype::pg_catalog.text ~~ 'any%' then 'element'
    when p.prorettype::pg_catalog.regtype::pg_catalog.text in ('internal', 'cstring') then 'text'
    else p.prorettype::pg_catalog.regtype::pg_catalog.text end
  into result from pg_catalog.pg_proc p
  where p.proname = ${literal(name)} and p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
  order by p.prorettype::pg_catalog.regtype::pg_catalog.text ~~ 'any%' desc, p.prorettype limit 1;
  foreach args in array ${textArray(lists.map((types) => types.join(", ")))} loop
    begin
      element := pg_catalog.btrim((pg_catalog.string_to_array(args, ', '))[1], '[]');
      if pg_catalog.to_regprocedure(pg_catalog.concat('pg_catalog.', ${
    literal(`"${name}"`)
  }, '(', args, ')')) is null then
        execute pg_catalog.concat('create function public.', ${literal(`"${name}"`)}, '(', args,
          ') returns ', pg_catalog.replace(coalesce(result, 'bigint'), 'element', element), ' language plpgsql as ', pg_catalog.quote_literal(
          ${
    literal(
      `begin raise exception using errcode = '${SPRUNG}', message = '${name} ran as ' operator(pg_catalog.||) current_user; end`,
    )
  }));
        execute pg_catalog.concat('revoke execute on function public.', ${
    literal(`"${name}"`)
  }, '(', args, ') from public');
      end if;
    exception when duplicate_function or undefined_object or syntax_error
      or invalid_function_definition or feature_not_supported then null;
    end;
  end loop;
end $make$`;

/** Operators of all pairs of types, and of single ones, that `pg_catalog` has no operator for. */
const MAKE_OPERATORS = (operator: string) =>
  `do $make$
declare
  a pg_catalog.text;
  b pg_catalog.text;
  result pg_catalog.text;
  procedure pg_catalog.text;
  types pg_catalog.text[] := ${textArray(TYPES)};
begin
  foreach a in array array['none'] operator(pg_catalog.||) types loop
    foreach b in array types loop
      if exists (
        select from pg_catalog.pg_operator o
        where o.oprname = ${
    literal(operator)
  } and o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace
          and o.oprright = b::pg_catalog.regtype::pg_catalog.oid
          and o.oprleft = case when a = 'none' then 0::pg_catalog.oid else a::pg_catalog.regtype::pg_catalog.oid end
      ) then continue; end if;
      result := case when ${literal(operator)} ~ '[=<>~@]' and ${
    literal(operator)
  } !~ '->' then 'boolean'
        when ${literal(operator)} in ('->>', '#>>') then 'text'
        when a = 'none' then b
        when ${literal(operator)} = '||' then
          case when a ~ '\\[' then a when b ~ '\\[' then b else 'text' end
        when a = 'text' then b else a end;
      procedure := pg_catalog.concat('public.', pg_catalog.quote_ident(pg_catalog.concat(a, ${
    literal(` ${operator} `)
  }, b)));
      begin
        execute pg_catalog.concat('create function ', procedure, '(',
          case when a = 'none' then b else pg_catalog.concat(a, ', ', b) end,
          ') returns ', result, ' language plpgsql as ', pg_catalog.quote_literal(pg_catalog.concat(
          'begin raise exception using errcode = ''${SPRUNG}'', message = ''', a, ${
    literal(` ${operator} `)
  }, b,
          ' ran as '' operator(pg_catalog.||) current_user; end')));
        execute pg_catalog.concat('revoke execute on function ', procedure, '(',
          case when a = 'none' then b else pg_catalog.concat(a, ', ', b) end, ') from public');
      exception when duplicate_function then null;
      end;
      begin
        execute pg_catalog.concat('create operator public.', ${
    literal(operator)
  }, ' (function = ', procedure,
          case when a = 'none' then '' else pg_catalog.concat(', leftarg = ', a) end, ', rightarg = ', b, ')');
      exception when duplicate_function or syntax_error or invalid_function_definition then null;
      end;
    end loop;
  end loop;
end $make$`;
