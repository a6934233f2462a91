/** The table of a test, asked by its statements without the floors above. */

import type postgres from "postgres";
import type { CircuitRules } from "../../src/options/store_options.ts";
import { CircuitTable, type CircuitTableOptions } from "../../src/postgres/circuit_table.ts";
import type { Demand } from "../../src/postgres/executor.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { openPostgresJs } from "./clients.ts";
import { createDatabase } from "./database.ts";
import { rulesOf } from "./rules.ts";

/** Rules under which an open circuit is due at once. */
export const RULES: CircuitRules = rulesOf({
  resetTimeoutMs: 1,
  halfOpenMax: 2,
  probeTimeoutMs: 60_000,
});

/** A migrated table in a database of its own. */
export interface OpenTable extends AsyncDisposable {
  readonly table: CircuitTable;
  /** The same table for another instance, on the same connections. */
  another(options?: Partial<CircuitTableOptions>): CircuitTable;
  readonly sql: postgres.Sql;
  readonly url: string;
}

/** Opens a table with the default name. */
export async function openTable(options: Partial<CircuitTableOptions> = {}): Promise<OpenTable> {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const { client, raw } = cleanup.use(await openPostgresJs(database.url));
  await migrate(client);
  const kept = cleanup.move();
  const another = (other: Partial<CircuitTableOptions> = {}) =>
    new CircuitTable(client, parseTableName("test", "stoma_circuit_breakers"), {
      now: undefined,
      rules: RULES,
      durability: "default",
      actor: "test",
      onLogged: () => {},
      runAlone: () => undefined,
      wasHeldUpSince: () => false,
      onTime: () => {},
      ...options,
      ...other,
    });
  return {
    table: another(),
    another,
    sql: raw,
    url: database.url,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A call that waits for as long as it takes. */
export function demand(): Demand {
  return { sentAt: performance.now(), isAwaited: true, refusal: undefined };
}

/** What the log says of a circuit: each row as `from -> to by cause`, in the order of versions. */
export async function logOf(sql: postgres.Sql, key: string): Promise<string[]> {
  const rows = await sql`
    select from_state, to_state, cause from stoma_circuit_breakers_changes
    where key = ${key} order by version`;
  return rows.map(({ from_state, to_state, cause }) => `${from_state} -> ${to_state} by ${cause}`);
}
