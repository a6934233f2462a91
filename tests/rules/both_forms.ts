/**
 * Compares the two forms of a rule: the SQL form on a real server, over rows of the real table's
 * type, and the TypeScript form over the same circuits.
 *
 * A failure prints the seed. `SEED=... deno task test tests/rules/counting_test.ts` repeats it.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { migrate } from "../../src/postgres/migrate.ts";
import type { CircuitRules } from "../../src/options/store_options.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import {
  type Case,
  casesUnder,
  type Question,
  type ReadCircuit,
  readRow,
} from "./generated_circuits.ts";

/** How many circuits each pair is compared over, at least. */
export const LEAST_CIRCUITS = 2000;

const CIRCUITS_PER_STATEMENT = 100;
const SEED = Deno.env.get("SEED");

/** One rule under certain options. SQL sees the row as `c` and the question as `call`. */
export interface Forms {
  /** An expression, or several by name. */
  sql: string | Record<string, string>;
  /** What the caller makes of the expression's value; nothing, by default. */
  readSql?: (value: never) => unknown;
  typescript: (circuit: ReadCircuit, call: Question) => unknown;
}

/**
 * Compares two functions, which are given by their names, under generated rules, over `least` circuits
 * at least. Resolves to how many circuits it compared them over.
 */
export type Compare<Result> = <Rules extends CircuitRules>(
  pair: Record<string, unknown>,
  rules: fc.Arbitrary<Rules>,
  formsOf: (rules: Rules) => Forms,
  least?: number,
) => Promise<Result>;

/** What compares. Disposal drops the database. */
export interface Comparer extends AsyncDisposable {
  readonly compare: Compare<number>;
}

/**
 * Defines a test of one rule: each call of `bothForms` is a step. `both_forms_test.ts` reads from the
 * calls which pairs are tested.
 */
export function testBothForms(
  rule: string,
  compareAll: (bothForms: Compare<void>) => Promise<void>,
): void {
  Deno.test(`${rule}: TypeScript and SQL decide the same`, async (t) => {
    await using comparer = await openComparer();
    await compareAll(async (pair, rules, formsOf) => {
      await t.step(namesOf(pair), async () => {
        await comparer.compare(pair, rules, formsOf);
      });
    });
  });
}

/** Opens a database with the real table. */
export async function openComparer(): Promise<Comparer> {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  // Each statement has its own text, so preparing it would only fill the session.
  const { client } = cleanup.use(await openPostgresJs(database.url, { max: 1, prepare: false }));
  await migrate(client);
  const kept = cleanup.move();

  async function valuesOf(sql: Forms["sql"], cases: readonly Case[]): Promise<unknown[]> {
    const { rows } = await client.query(
      `select to_jsonb(${expressionOf(sql)})::text as value
from jsonb_array_elements($1::text::jsonb) with ordinality as given (circuit, place),
  jsonb_populate_record(null::stoma_circuit_breakers, circuit -> 'row') as c,
  jsonb_to_record(circuit -> 'call') as call
    (now bigint, "to" text, added bigint, slow bigint, version bigint, since bigint,
      patience bigint, share double precision, outcome text, label text)
order by place`,
      [JSON.stringify(cases, (_, value) => typeof value === "bigint" ? `${value}` : value)],
    );
    return rows.map(({ value }) => value === null ? null : JSON.parse(value as string));
  }

  return {
    async compare(pair, rules, formsOf, least = LEAST_CIRCUITS) {
      let compared = 0;
      const property = fc.asyncProperty(
        casesUnder(rules, CIRCUITS_PER_STATEMENT),
        async ([rules, cases]) => {
          const { sql, readSql = (value) => value, typescript } = formsOf(rules);
          const values = await valuesOf(sql, cases);
          assertEquals(values.length, cases.length);
          for (const [place, { row, call }] of cases.entries()) {
            assertEquals(
              readSql(values[place] as never),
              typescript(readRow(row, call.now), call),
              `SQL and TypeScript differ: ${namesOf(pair)}`,
            );
          }
          compared += cases.length;
        },
      );
      const options = { numRuns: 20, ...SEED !== undefined && { seed: Number(SEED) } };
      do await fc.assert(property, options); while (
        SEED === undefined && compared < least
      );
      return compared;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function namesOf(pair: Record<string, unknown>): string {
  return Object.keys(pair).join(" and ");
}

function expressionOf(sql: Forms["sql"]): string {
  if (typeof sql === "string") return sql;
  const fields = Object.entries(sql).map(([name, expression]) => `'${name}', ${expression}`);
  return `jsonb_build_object(${fields.join(", ")})`;
}
