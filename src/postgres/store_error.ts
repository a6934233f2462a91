import {
  CircuitBreakerStoreError,
  isCircuitBreakerStoreError,
  SchemaError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import { CONNECT_PER_CALL, END_LATER, SEND_AS_IT_IS } from "./client_contract.ts";
import { isEndedByProgram, isMisuse, isOfOtherRequest } from "./driver_failure.ts";
import type { TableName } from "./identifier.ts";
import { sqlStateOf } from "./sql_state.ts";

/** The codes of a server that gave up on a statement: it may be slow, but it answers. */
const TIMEOUTS: readonly string[] = [
  "55P03", // lock_not_available: lock_timeout
  "57014", // query_canceled: statement_timeout, or an operator
];

/** The codes of a server that can serve no client for now; classes by their first two characters. */
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

/** Circumstances of an error. */
export interface Circumstances {
  /** Whether the client threw it instead of rejecting. */
  readonly isThrown?: boolean;
  /** Whether each call may have a connection of its own, which only its program ends. */
  readonly isPerCall?: boolean;
}

/** A driver's error as one of ours, with what to do about it where that is known. */
export function storeError(
  cause: unknown,
  table: TableName,
  action: string,
  circumstances: Circumstances = {},
): CircuitBreakerStoreError {
  if (isCircuitBreakerStoreError(cause)) return cause;
  const sqlState = sqlStateOf(cause);
  const options = { cause, sqlState };
  const message = `Cannot ${action}: ${messageOf(cause, table.hidden)}`;
  switch (sqlState) {
    case undefined: {
      const hint = mistakeOf(cause, circumstances);
      return hint === undefined
        ? new StoreUnavailableError(message, options)
        : new CircuitBreakerStoreError(`${message}: ${hint}`, options);
    }
    case "42P01": // undefined_table
    case "3F000": // invalid_schema_name
      return new SchemaError(
        `Cannot ${action}: the table ${table.shown} does not exist, run migrate(client, table) first`,
        options,
      );
    case "42703": // undefined_column
      return new SchemaError(
        `${message}: the table ${table.shown} is outdated, run migrate(client, table)`,
        options,
      );
    case "42501": // insufficient_privilege
      return new CircuitBreakerStoreError(
        `${message}: give the role what schemaSql(table, { grantTo }) grants, ` +
          `for the table ${table.shown}`,
        options,
      );
  }
  if (TIMEOUTS.includes(sqlState)) return new StoreTimeoutError(message, options);
  return UNAVAILABLE.some((prefix) => sqlState.startsWith(prefix))
    ? new StoreUnavailableError(message, options)
    : new CircuitBreakerStoreError(message, options);
}

/** What to do about an error that says nothing about the database; `undefined` for all others. */
function mistakeOf(
  cause: unknown,
  { isThrown = false, isPerCall = false }: Circumstances,
): string | undefined {
  if (isOfOtherRequest(cause)) return CONNECT_PER_CALL;
  if (isPerCall && isEndedByProgram(cause)) return END_LATER;
  return isMisuse(cause, isThrown) ? SEND_AS_IT_IS : undefined;
}
