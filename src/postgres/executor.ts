import type { PostgresClient } from "../types.ts";
import type { TableName } from "./identifier.ts";
import { isConnectionLost } from "./lost_connection.ts";
import { readOnlyError } from "./codec.ts";
import { rowsOf } from "./client_contract.ts";
import { sqlStateOf } from "./sql_state.ts";
import type { Row, Statement } from "./statements/context.ts";
import { storeError } from "./store_error.ts";

/**
 * What the server answers when it has certainly done nothing, so that sending the statement again
 * counts nothing twice.
 */
const NOT_EXECUTED: readonly (string | undefined)[] = [
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "26000", // invalid_sql_statement_name: a pooler or DISCARD ALL dropped the prepared statement
];

/** read_only_sql_transaction: not executed either, but another session may take it. */
const READ_ONLY = "25006";

const MAX_PAUSE_MS = 50;

/** What a statement is sent for. */
export interface Demand {
  /** When it was first sent, on the clock of `performance.now()`. */
  readonly sentAt: number;
  /** Whether anything still waits for it. */
  readonly isAwaited: boolean;
  /**
   * Why it is sent again, where its session took no writes. It is the error at the deadline: that no
   * answer came in time would hide it.
   */
  refusal: Error | undefined;
}

type StatementText = Pick<Statement<never, unknown>, "action" | "text" | "isRead">;

/** What statements are run with. */
export interface Execution {
  readonly client: PostgresClient;
  readonly table: TableName;
  /** Whether each call may have a connection of its own, which only its program ends. */
  readonly isPerCall?: boolean;
  /** Called for each session that took no writes. */
  readonly onReadOnly: () => void;
  /** Whether the process was held up since a moment of `performance.now()`. */
  readonly wasHeldUpSince: (moment: number) => boolean;
}

/**
 * Runs one statement and decodes its rows.
 *
 * It sends a statement again, after a random pause and as long as it is awaited, when the server has
 * certainly done nothing: it rolled the statement back, or its session takes no writes. It also
 * sends a read again when its connection was lost. It reports every other error, because a
 * statement whose fate is unknown must not count twice.
 */
export function execute<Result>(
  execution: Execution,
  statement: StatementText,
  params: (string | null)[],
  demand: Demand,
  decode: (rows: Row[]) => Result,
): Promise<Result> {
  return send(execution.client, statement.text, params, decode).catch((error) =>
    retry(execution, statement, params, demand, decode, error)
  );
}

/** What a client threw instead of rejecting: nothing was sent. */
class Thrown {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

function send<Result>(
  client: PostgresClient,
  text: string,
  params: (string | null)[],
  decode: (rows: Row[]) => Result,
): Promise<Result> {
  try {
    return Promise.resolve(client.query(text, params)).then((result) => decode(rowsOf(result)));
  } catch (error) {
    return Promise.reject(new Thrown(error));
  }
}

async function retry<Result>(
  execution: Execution,
  statement: StatementText,
  params: (string | null)[],
  demand: Demand,
  decode: (rows: Row[]) => Result,
  firstError: unknown,
): Promise<Result> {
  let error = firstError;
  let beganAt = demand.sentAt;
  for (let attempt = 1;; attempt++) {
    const isThrown = error instanceof Thrown;
    if (isThrown) error = (error as Thrown).error;
    const isReadOnly = sqlStateOf(error) === READ_ONLY;
    if (isReadOnly) execution.onReadOnly();
    demand.refusal = isReadOnly ? readOnlyError(error) : undefined;
    const isRetried = demand.isAwaited && mayRetry(execution, statement, error, beganAt);
    if (isRetried) await pause(Math.random() * Math.min(2 ** attempt, MAX_PAUSE_MS));
    // Asked again: its deadline can be over meanwhile.
    if (!isRetried || !demand.isAwaited) {
      const cause = demand.refusal ?? error;
      const { table, isPerCall } = execution;
      throw storeError(cause, table, statement.action, { isThrown, isPerCall });
    }
    beganAt = performance.now();
    try {
      return await send(execution.client, statement.text, params, decode);
    } catch (again) {
      error = again;
    }
  }
}

function mayRetry(
  { wasHeldUpSince }: Execution,
  { isRead = false }: StatementText,
  error: unknown,
  beganAt: number,
): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState === READ_ONLY || NOT_EXECUTED.includes(sqlState)) return true;
  if (!isRead) return false;
  return isConnectionLost(error) || sqlState === undefined && wasHeldUpSince(beganAt);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
