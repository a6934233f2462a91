/**
 * The demo that stays: three gateways under light traffic, the dashboard, and keys on the terminal that
 * break and heal the upstream.
 *
 * @module
 */

import postgres from "postgres";
import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { dashboard } from "../../src/dashboard/dashboard.ts";
import type { DemoDatabase } from "./database.ts";
import { CIRCUIT, GATEWAYS, startGateways } from "./gateways.ts";
import type { GatewayProcess } from "./gateway_process.ts";
import type { BreakerSettings, GatewaySettings } from "./messages.ts";
import type { Timeline } from "./timeline.ts";
import type { Upstream } from "./upstream.ts";

const BREAKER: BreakerSettings = {
  failureThreshold: 5,
  resetTimeoutMs: 10_000,
  halfOpenMax: 1,
  probeTimeoutMs: 3_000,
};

/** How long a gateway waits between two requests, in milliseconds. */
const PAUSE_MS = 400;

const CTRL_C = "\x03";

/** What the demo that stays needs. */
export interface StayStage {
  timeline: Timeline;
  database: DemoDatabase;
  upstream: Upstream;
  stomaPath: string;
  /** Ends it. */
  signal: AbortSignal;
}

/** Runs until a key or the signal ends it. */
export async function stay(stage: StayStage): Promise<void> {
  const { timeline, database, upstream, stomaPath, signal } = stage;
  const settings = GATEWAYS.map((name): GatewaySettings => ({
    name,
    stomaPath,
    upstreamUrl: upstream.url,
    circuit: CIRCUIT,
    breaker: BREAKER,
    database: { url: database.url, table: database.table },
  }));
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  await using gateways = await startGateways(settings, timeline, either);
  await using page = serveDashboard(database);
  timeline.heading("The dashboard shows it");
  timeline.event("dashboard", page.url);
  timeline.event("keys", "b breaks the upstream, h heals it, q ends the demo");
  const traffic = gateways.all.map((gateway) => keepAsking(gateway, either));
  try {
    for await (const key of keys(either)) {
      if (key === "q" || key === CTRL_C) break;
      if (key !== "b" && key !== "h") continue;
      upstream.failing = key === "b";
      timeline.event("upstream", upstream.failing ? "fails from now on" : "works from now on");
    }
  } finally {
    ended.abort();
    await Promise.all(traffic);
  }
}

/** The dashboard on a free port. It can act. */
function serveDashboard({ url, table }: DemoDatabase) {
  const sql = postgres(url, { max: 4, onnotice: () => {} });
  const store = new PostgresCircuitBreakerStore(fromPostgresJs(sql), table, {
    instanceId: "dashboard",
  });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    dashboard(store, {
      title: "Demo",
      readOnly: false,
      // Only a page of this machine: its name in the address says so.
      authorize: (request) => new URL(request.url).hostname === "127.0.0.1" && { actor: "demo" },
    }),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    async [Symbol.asyncDispose]() {
      await store.close(); // which ends the streams of pages that are open
      await server.shutdown();
      await sql.end({ timeout: 5 });
    },
  };
}

/** Light traffic through one gateway, until the signal. */
async function keepAsking(gateway: GatewayProcess, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await gateway.request();
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    await pause(PAUSE_MS, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/** The keys that are pressed, or the letters of a pipe, until the signal. At the end of a pipe it waits. */
async function* keys(signal: AbortSignal): AsyncGenerator<string> {
  const isTerminal = Deno.stdin.isTerminal();
  if (isTerminal) Deno.stdin.setRaw(true, { cbreak: true });
  const reader = Deno.stdin.readable.getReader();
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve());
  });
  try {
    while (!signal.aborted) {
      const read = await Promise.race([reader.read(), aborted]);
      if (read === undefined) return;
      if (read.done) await aborted;
      else yield* new TextDecoder().decode(read.value);
    }
  } finally {
    if (isTerminal) Deno.stdin.setRaw(false);
    reader.cancel().catch(() => {}); // a read of a terminal ends only with a key
  }
}
