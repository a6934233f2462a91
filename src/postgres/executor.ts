import { describe } from "../describe.ts";
import type { PostgresClient } from "../types.ts";
import type { TableName } from "./identifier.ts";
import { sqlStateOf } from "./sql_state.ts";
import { storeError } from "./store_error.ts";

/** A row as a driver returns it. */
export type Row = Record<string, unknown>;

// The server rolled the statement back whole, so sending it again counts nothing twice.
const ROLLED_BACK: readonly (string | undefined)[] = ["40001", "40P01"];
const MAX_PAUSE_MS = 50;

/** Throws a TypeError unless the value can be a {@linkcode PostgresClient}. */
export function assertClient(action: string, client: unknown): asserts client is PostgresClient {
  const given = client as Partial<Record<string, unknown>> | null | undefined;
  if (typeof given?.query === "function") return;
  let hint = "pass a pg.Pool, a PGlite or the result of an adapter such as fromPostgresJs(sql)";
  if (typeof given?.unsafe === "function") {
    hint = "this looks like postgres.js or Bun SQL, pass fromPostgresJs(sql) or fromBunSql(sql)";
  } else if (typeof given?.queryObject === "function" || looksLikeDenoPool(given)) {
    hint = "this looks like Deno Postgres, pass fromDenoPostgres(poolOrClient)";
  }
  throw new TypeError(
    `Cannot ${action}: "client" must have a query(text, params) method, received ${
      describe(client)
    }: ${hint}`,
  );
}

function looksLikeDenoPool(given: Record<string, unknown> | null | undefined): boolean {
  return typeof given?.connect === "function" && "available" in given;
}

/** What a statement is run with. */
export interface Execution {
  client: PostgresClient;
  table: TableName;
  /** For how long somebody can be waiting for it, in milliseconds. */
  timeoutMs: number;
}

/**
 * Runs one statement and hands its rows on. A statement that the server rolled back for another
 * transaction's sake is sent again after a random pause, as long as somebody can be waiting for it;
 * every other error is reported, because a statement whose fate is unknown must not count twice.
 */
export function execute<Result>(
  execution: Execution,
  action: string,
  text: string,
  params: unknown[],
  receive: (rows: Row[]) => Result,
): Promise<Result> {
  const begunAt = performance.now();
  return send(execution.client, text, params).then(
    ({ rows }) => receive(rows),
    async (error) => receive(await insist(execution, action, text, params, begunAt, error)),
  );
}

async function insist(
  { client, table, timeoutMs }: Execution,
  action: string,
  text: string,
  params: unknown[],
  begunAt: number,
  error: unknown,
): Promise<Row[]> {
  let reason = error;
  for (let attempt = 1;; attempt++) {
    const isLate = performance.now() >= begunAt + timeoutMs;
    if (isLate || !ROLLED_BACK.includes(sqlStateOf(reason))) {
      throw storeError(reason, table, action);
    }
    await pause(Math.random() * Math.min(2 ** attempt, MAX_PAUSE_MS));
    try {
      return (await client.query(text, params)).rows;
    } catch (again) {
      reason = again;
    }
  }
}

/** A client that throws instead of rejecting is taken as one that rejects. */
function send(client: PostgresClient, text: string, params: unknown[]) {
  try {
    return client.query(text, params);
  } catch (error) {
    return Promise.reject(error);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
