import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { loadStoma } from "../../tests/support/stoma.ts";
import { atMost } from "./bars.ts";
import { openClient } from "./client.ts";
import type { Outcome } from "./experiment.ts";
import { operateGateway } from "./gateway_load.ts";
import { breathing, circuitKey, Generator, type Operate } from "./load.ts";
import { ServerStatements } from "./server_statements.ts";
import type { Stage } from "./stage.ts";

/** Requests that all go well, or one open circuit that is asked for all the time. */
export type StatementLoad = { kind: "gateway"; circuits: number } | { kind: "denied" };

/** For how long statements are counted. */
export interface StatementWindow {
  maxStalenessMs: number;
  /** How many times `maxStalenessMs`. */
  intervals: number;
}

/** How many statements an instance may send per `maxStalenessMs`. */
export const STATEMENTS_PER_INTERVAL = 1.2;

const IN_FLIGHT = 64;
const NEVER_MS = 24 * 60 * 60 * 1000;

/** Counts what one instance under full load costs its database. */
export async function countStatements(
  stage: Stage,
  load: StatementLoad,
  { maxStalenessMs, intervals }: StatementWindow,
): Promise<Outcome> {
  await using database = await stage.createDatabase();
  await database.fill(load.kind === "gateway" ? load.circuits : 1);
  await using server = await ServerStatements.watch(database.url);
  await using connection = openClient(database.url);
  await using store = new PostgresCircuitBreakerStore(connection.client, database.table, {
    maxStalenessMs,
    ...load.kind === "denied" && { resetTimeoutMs: NEVER_MS },
  });
  const operate = breathing(await operateStore(stage, store, load));
  const generator = new Generator(operate, IN_FLIGHT);
  // Everything in use is known by then, and every connection is open.
  await generator.warmUp(2 * maxStalenessMs / 1000);

  const from = performance.now();
  const before = { client: connection.statements(), server: await server.count() };
  const { operations, seconds } = await generator.round(intervals * maxStalenessMs / 1000);
  const after = { client: connection.statements(), server: await server.count() };
  const waited = (performance.now() - from) / maxStalenessMs;

  const client = (after.client - before.client) / waited;
  const seen = (after.server - before.server) / waited;
  const rate = Math.round(operations / seconds).toLocaleString("en");
  const shown = (count: number) => `${count.toFixed(2)} per ${maxStalenessMs} ms`;
  const verdict = (what: string, count: number) =>
    atMost(`${titleOf(load)}: ${what}`, count, STATEMENTS_PER_INTERVAL, shown);
  return {
    lines: [
      `${rate} ${load.kind === "gateway" ? "requests" : "reads"} per second for ` +
      `${waited.toFixed(1)} intervals, p99 ${generator.latencies.percentile(0.99).toFixed(1)} ms`,
      `statements: the client sent ${shown(client)}, the server saw ${shown(seen)}` +
      (server.isExact ? "" : " (transactions, roughly: pg_stat_statements is not loaded)"),
    ],
    figures: { rate: operations / seconds, intervals: waited, client, server: seen },
    verdicts: [
      verdict("statements that the client sent", client),
      ...server.isExact ? [verdict("statements that the server saw", seen)] : [],
    ],
  };
}

async function operateStore(
  stage: Stage,
  store: PostgresCircuitBreakerStore,
  load: StatementLoad,
): Promise<Operate> {
  if (load.kind === "gateway") {
    return await operateGateway(await loadStoma(stage.gatewayPath), store, load.circuits);
  }
  const key = circuitKey(0);
  await store.transition(key, "open");
  return async () => {
    const { state } = await store.getState(key);
    if (state !== "open") throw new Error(`Cannot measure denied load: received ${state}`);
  };
}

function titleOf(load: StatementLoad): string {
  if (load.kind === "denied") return "open circuit under denied load";
  return `healthy gateway, ${load.circuits === 1 ? "1 circuit" : `${load.circuits} circuits`}`;
}
