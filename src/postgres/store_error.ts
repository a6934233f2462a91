import { describe } from "../describe.ts";
import {
  CircuitBreakerStoreError,
  isCircuitBreakerStoreError,
  SchemaError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../errors.ts";
import type { TableName } from "./identifier.ts";
import { sqlStateOf } from "./sql_state.ts";

/** What the server says when it gave up on a statement: it may be slow, it is there. */
const TIMEOUTS: readonly string[] = [
  "55P03", // lock_not_available: lock_timeout
  "57014", // query_canceled: statement_timeout, or an operator
];

/** What says that the server cannot serve anybody for now; classes by their first two characters. */
const UNAVAILABLE: readonly string[] = [
  "08", // connection exception
  "28", // invalid authorization: no connection can be made
  "53", // insufficient resources: 53300 too_many_connections, 53100 disk_full
  "58", // system error: I/O
  "25006", // read_only_sql_transaction: a standby, or a failover in progress
  "3D000", // invalid_catalog_name: the database was dropped
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now: starting up
  "57P04", // database_dropped
  "57P05", // idle_session_timeout
];

/** A driver's error as one of ours, with what to do about it where that is known. */
export function storeError(
  cause: unknown,
  table: TableName,
  action: string,
): CircuitBreakerStoreError {
  if (isCircuitBreakerStoreError(cause)) return cause;
  const sqlState = sqlStateOf(cause);
  const options = { cause, sqlState };
  const message = `Cannot ${action}: ${cause instanceof Error ? cause.message : describe(cause)}`;
  switch (sqlState) {
    case undefined:
      // The server answered nothing: a connection that failed, unless the driver was misused.
      return cause instanceof TypeError || cause instanceof RangeError
        ? new CircuitBreakerStoreError(message, options)
        : new StoreUnavailableError(message, options);
    case "42P01": // undefined_table
    case "3F000": // invalid_schema_name
      return new SchemaError(
        `Cannot ${action}: the table ${table.quoted} does not exist, run migrate(client, table) first`,
        options,
      );
    case "42703": // undefined_column
      return new SchemaError(
        `${message}: the table ${table.quoted} is outdated, run migrate(client, table)`,
        options,
      );
    case "42501": // insufficient_privilege
      return new CircuitBreakerStoreError(
        `${message}, grant select, insert, update, delete on ${table.quoted} to the role`,
        options,
      );
  }
  if (TIMEOUTS.includes(sqlState)) return new StoreTimeoutError(message, options);
  return UNAVAILABLE.some((prefix) => sqlState.startsWith(prefix))
    ? new StoreUnavailableError(message, options)
    : new CircuitBreakerStoreError(message, options);
}
