/** The schema as SQL, for a DBA who applies it. */

import { assertBoolean, assertOptions } from "../options/check.ts";
import { parseTableName } from "./identifier.ts";
import { downStatement } from "./migration/down.ts";
import { parseRole } from "./migration/grants.ts";
import { migrationStatement } from "./migration/statement.ts";

export { ADDED_COLUMNS, ORIGINAL_COLUMNS, SCHEMA_VERSION } from "./catalogue.ts";

/** How long live traffic may wait for a migration, in milliseconds, unless an option says otherwise. */
export const DEFAULT_LOCK_TIMEOUT_MS = 1000;

/** Which SQL {@linkcode schemaSql} returns. */
export interface SchemaSqlOptions {
  /**
   * A role that gets what the store needs at run time, and nothing else: its name, literally and in its
   * case. The role must exist.
   */
  grantTo?: string | undefined;
  /**
   * Whether the statement takes the schema away instead: the table is again the one of Stoma's own
   * store, with states and counts, and everything beside it is dropped.
   *
   * @default {false}
   */
  down?: boolean | undefined;
}

/**
 * Returns the schema as the one SQL statement that `migrate` runs, for a DBA who applies it. The
 * statement creates the tables, or upgrades and repairs existing ones and keeps their rows. It does
 * nothing where everything is in place. It refuses a schema that is newer than this release.
 *
 * Where another transaction holds the table for about a second, the statement fails with `55P03` and
 * has done nothing. Run it again then.
 *
 * @param table A table name, `table` or `schema.table`; the schema must exist.
 * @default {"stoma_circuit_breakers"}
 * @param options The role of run time, or the way back.
 * @returns One `do` statement without parameters.
 * @throws {TypeError} If the name is not a string, or an option has a wrong type.
 * @throws {RangeError} If PostgreSQL cannot hold a name.
 *
 * @example Printing it for a review
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { schemaSql } from "@circuit-breaker/postgres";
 *
 * const sql = schemaSql("ops.breakers", { grantTo: "gateway" });
 * assertStringIncludes(sql, '"ops"."breakers_changes"');
 * assertStringIncludes(sql, "grant select, insert, update, delete");
 * assertStringIncludes(schemaSql("ops.breakers", { down: true }), "drop table");
 * ```
 */
export function schemaSql(
  table = "stoma_circuit_breakers",
  options: SchemaSqlOptions = {},
): string {
  const action = "write schema";
  assertOptions(action, options, ["grantTo", "down"]);
  const { grantTo, down = false } = options;
  assertBoolean(action, "down", down);
  const name = parseTableName(action, table);
  const role = parseRole(action, grantTo);
  if (!down) {
    return migrationStatement(name, { lockTimeoutMs: DEFAULT_LOCK_TIMEOUT_MS, grantTo: role });
  }
  if (role !== undefined) {
    throw new TypeError(`Cannot ${action}: "grantTo" cannot be given with "down"`);
  }
  return downStatement(name, DEFAULT_LOCK_TIMEOUT_MS);
}
