/**
 * Three real gateways in three processes share one circuit through PostgreSQL while their upstream
 * fails and recovers. Then one of five gateways cannot connect to its upstream, without a quorum and with
 * one. Prints what happens and ends with exit code 0 if it was what it claims.
 *
 * With `--stay`, three gateways serve light traffic instead until a key ends them, and the dashboard shows
 * what happens.
 *
 * Runs on a PostgreSQL it starts itself, or on the one that `DATABASE_URL` names.
 *
 * @module
 */

import { bundleStoma } from "../tests/support/stoma.ts";
import { type BrokenNetworkStage, playBrokenNetwork } from "./demo/broken_network.ts";
import { type DemoDatabase, openDatabase } from "./demo/database.ts";
import { CIRCUIT, GATEWAYS, startGateways } from "./demo/gateways.ts";
import type { BreakerSettings, GatewaySettings } from "./demo/messages.ts";
import { stay } from "./demo/stay.ts";
import { play } from "./demo/story.ts";
import { Timeline } from "./demo/timeline.ts";
import { Upstream } from "./demo/upstream.ts";

const USAGE = `Usage: deno task demo [--store=postgres|memory] [--stay]

  --store=postgres  the gateways share their circuits (default)
  --store=memory    every gateway keeps its own circuits, for comparison: the demo then fails
  --stay            instead, three gateways stay under light traffic, and the dashboard shows them`;

const INTERRUPTED = 130;
const BREAKER: BreakerSettings = {
  failureThreshold: 5,
  resetTimeoutMs: 2_000,
  halfOpenMax: 1,
  probeTimeoutMs: 3_000,
};

/** What the first act needs. */
interface Parts extends Omit<BrokenNetworkStage, "database"> {
  database: DemoDatabase | undefined;
}

/** Starts everything, plays both acts or stays, and ends everything again, whatever happens. */
async function run(
  timeline: Timeline,
  { shared, stays, signal }: { shared: boolean; stays: boolean; signal: AbortSignal },
): Promise<void> {
  await using cleanup = new AsyncDisposableStack();

  timeline.heading("Three gateways, one upstream");
  let database: DemoDatabase | undefined;
  if (shared) {
    database = cleanup.use(await openDatabase());
    timeline.event("database", `${database.description}, table migrated`);
  } else {
    timeline.event("database", "none: every gateway keeps its own circuits in memory");
  }
  signal.throwIfAborted();
  const upstream = cleanup.use(new Upstream());
  timeline.event("upstream", `serves at ${upstream.url}`);
  const bundle = cleanup.use(await bundleStoma());
  signal.throwIfAborted();

  const parts = { timeline, upstream, stomaPath: bundle.gatewayPath, signal };
  if (stays && database !== undefined) return await stay({ ...parts, database });
  await playOutage({ ...parts, database });
  if (database === undefined) {
    timeline.heading("One bad gateway of five");
    timeline.event("demo", "skips this act: it needs a shared database");
  } else {
    await playBrokenNetwork({ ...parts, database });
  }
}

/** The first act. */
async function playOutage(parts: Parts): Promise<void> {
  const { timeline, upstream, stomaPath, signal, database } = parts;
  const settings = GATEWAYS.map((name): GatewaySettings => ({
    name,
    stomaPath,
    upstreamUrl: upstream.url,
    circuit: CIRCUIT,
    breaker: BREAKER,
    database: database && { url: database.url, table: database.table },
  }));
  await using gateways = await startGateways(settings, timeline, signal);
  await play({
    timeline,
    upstream,
    gateways: gateways.all,
    breaker: BREAKER,
    peek: database && (() => database.peek(CIRCUIT)),
  });
}

/** Says whether the demo showed what it is for. */
function conclude(timeline: Timeline, shared: boolean): number {
  timeline.heading("Result");
  if (timeline.refuted.length === 0) {
    console.log(
      `Shown in ${timeline.elapsed}: what one gateway learned, all ${GATEWAYS.length} knew, and one ` +
        `probe was enough for all. With a quorum, one bad gateway harms no other. ` +
        `${timeline.claims} of ${timeline.claims} claims were true.`,
    );
    return 0;
  }
  console.log(`NOT shown: ${timeline.refuted.length} of ${timeline.claims} claims were false:`);
  for (const claim of timeline.refuted) console.log(`- ${claim}`);
  if (!shared) console.log("That is what gateways without a shared store do.");
  return 1;
}

async function main(args: string[]): Promise<number> {
  const known = ["--store=postgres", "--store=memory", "--stay"];
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) {
    console.error(
      `Cannot run the demo: there is no such argument, received ${unknown}\n\n${USAGE}`,
    );
    return 2;
  }
  const shared = !args.includes("--store=memory");
  const stays = args.includes("--stay");
  if (stays && !shared) {
    console.error(`Cannot run the demo: --stay needs the shared database\n\n${USAGE}`);
    return 2;
  }
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      // The second signal ends the demo at once. The processes that it started end with it.
      if (interrupted.signal.aborted) Deno.exit(INTERRUPTED);
      interrupted.abort();
    });
  }
  const timeline = new Timeline();
  try {
    await run(timeline, { shared, stays, signal: interrupted.signal });
  } catch (error) {
    if (interrupted.signal.aborted) return INTERRUPTED;
    console.error(`\nNOT shown: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  if (interrupted.signal.aborted) return INTERRUPTED;
  return stays ? 0 : conclude(timeline, shared);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
