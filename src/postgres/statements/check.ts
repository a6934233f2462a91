/** Finding out whether the database takes writes, on the session that a pool happens to give. */

import type { TableName } from "../identifier.ts";
import type { Statement } from "./context.ts";

/** The state of a session. */
export interface SessionState {
  takesWrites: boolean;
  /** Whether it has ended itself. */
  isClosed: boolean;
  /**
   * Whether an operator has made it read-only: the role or the database has
   * `default_transaction_read_only`. A standby and a server that was demoted do not count as such.
   */
  isReadOnlyOnPurpose: boolean;
}

/** Which sessions a look closes, of those that take no writes. */
export interface Closing {
  /** Those that were opened longer ago, in milliseconds. */
  readonly olderThanMs: number;
  /** Whether also those that take no writes on purpose. */
  readonly alsoOnPurpose: boolean;
}

/**
 * Looks at a session, and fails unless the table exists. A session that `closing` selects ends itself.
 * As a rule the statement then fails with 57P01, but the server may also send the answer before.
 */
export function checkStatement(
  table: TableName,
): Statement<[closing: Closing | undefined], SessionState> {
  return {
    action: "check database",
    hasNoClock: true,
    text: `with session as materialized (
  select current_setting('transaction_read_only')::boolean as is_read_only,
    not pg_is_in_recovery() and exists (
      select from pg_settings where name = 'default_transaction_read_only'
        and setting = 'on' and source in ('user', 'database', 'database user', 'global', 'client')
    ) as is_on_purpose,
    (select clock_timestamp() - backend_start from pg_stat_get_activity(pg_backend_pid())) as age
)
select is_read_only, is_on_purpose,
  case when is_read_only and age > $1::text::double precision * interval '1 ms'
    and (not is_on_purpose or $2::text::boolean)
  then pg_terminate_backend(pg_backend_pid()) end as is_closed
from session left join (select key, version from ${table.quoted} limit 1) as any_circuit on true`,
    encode: (closing) => [
      closing === undefined ? null : `${closing.olderThanMs}`,
      `${closing?.alsoOnPurpose ?? false}`,
    ],
    decode: (rows) => ({
      takesWrites: rows[0]!.is_read_only === false,
      isClosed: rows[0]!.is_closed === true,
      isReadOnlyOnPurpose: rows[0]!.is_on_purpose === true,
    }),
  };
}
