/** What a neighbour can hang on a table of its own, and how a test finds out that it ran. */

import type postgres from "postgres";
import { connect } from "../../support/database.ts";

/** Something that runs code when a table is used. */
export interface Trap {
  readonly name: string;
  /** The statement that sets it, for a table and a text column of it. */
  set(table: string, column: string): string;
}

/** Every way in which using a table runs code of its owner's. */
export const TRAPS: readonly Trap[] = [
  {
    name: "a row trigger",
    set: (table) =>
      `create trigger trap before insert or update or delete on ${table}
        for each row execute function public.trap_trigger()`,
  },
  {
    name: "a statement trigger",
    set: (table) =>
      `create trigger trap after insert or update or delete or truncate on ${table}
        for each statement execute function public.trap_trigger()`,
  },
  {
    name: "a deferred trigger",
    set: (table) =>
      `create constraint trigger trap after insert or update or delete on ${table}
        deferrable initially deferred for each row execute function public.trap_trigger()`,
  },
  {
    name: "a rule",
    set: (table) =>
      `create rule trap as on insert to ${table} do also select public.trap_text('');
      create rule trap_too as on update to ${table} do also select public.trap_text('')`,
  },
  {
    name: "a policy",
    set: (table) =>
      `create policy trap on ${table} using (public.trap_text('') = '') with check (true);
      alter table ${table} enable row level security`,
  },
  {
    name: "a default",
    set: (table, column) =>
      `alter table ${table} alter ${column} set default public.trap_text('closed')`,
  },
  {
    name: "a column of its own with a default",
    set: (table) => `alter table ${table} add trap text default public.trap_text('')`,
  },
  {
    name: "a generated column",
    set: (table, column) =>
      `alter table ${table} add trap text generated always as (public.trap_text(${column})) stored`,
  },
  {
    name: "a check",
    set: (table, column) =>
      `alter table ${table} add check (public.trap_text(${column}) = ${column})`,
  },
  {
    name: "an index of an expression",
    set: (table, column) => `create index trap on ${table} (public.trap_text(${column}))`,
  },
  {
    name: "an index with a condition",
    set: (table, column) =>
      `create index trap on ${table} (${column}) where public.trap_text(${column}) = 'x'`,
  },
  {
    name: "a domain",
    set: (table, column) =>
      `drop view if exists stoma_circuit_breakers_overview, stoma_circuit_breakers_timeline;
      alter table ${table} alter ${column} type public.trap_domain`,
  },
  {
    name: "a child",
    set: (table) =>
      `create table trap_child () inherits (${table});
      create trigger trap before insert or update or delete on trap_child
        for each row execute function public.trap_trigger();
      create policy trap on trap_child using (public.trap_text('') = '')`,
  },
];

/** The attacker's functions. Each counts its runs, also where its transaction is rolled back. */
export async function makeTraps(attacker: postgres.Sql): Promise<void> {
  await attacker.unsafe(`
    create sequence public.trap_runs;
    grant all on public.trap_runs to public;
    create function public.trap_trigger() returns trigger language plpgsql as
      'begin perform nextval(''public.trap_runs''); return case when tg_level = ''STATEMENT'' then null
        when tg_op = ''DELETE'' then old else new end; end';
    create function public.trap_text(text) returns text language plpgsql immutable as
      'begin perform nextval(''public.trap_runs''); return $1; end';
    create domain public.trap_domain as text check (public.trap_text(value) = value);
  `);
}

/** Begins to count runs at 0, after the attacker has set a trap. */
export async function resetTraps(attacker: postgres.Sql): Promise<void> {
  await attacker.unsafe("alter sequence public.trap_runs restart");
}

/** Whether code of the attacker's has run since {@linkcode resetTraps}. */
export async function hasTrapRun(url: string): Promise<boolean> {
  await using sql = connect(url);
  const [row] = await sql`select is_called from public.trap_runs`;
  return row!.is_called;
}
