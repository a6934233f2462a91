/**
 * The second act: one gateway of five cannot connect to the upstream, which is healthy all the time. The
 * demo sends the same requests twice: to gateways without a quorum, and to gateways with a quorum of two.
 *
 * @module
 */

import type { DemoDatabase } from "./database.ts";
import { type Gateways, startGateways } from "./gateways.ts";
import type { BreakerSettings, GatewaySettings } from "./messages.ts";
import type { Timeline } from "./timeline.ts";
import type { Upstream } from "./upstream.ts";
import { isRefused, isServed, report, retryAfters, send, sendToAll, statuses } from "./waves.ts";
import type { Traffic, Wave } from "./waves.ts";

const GATEWAYS = ["gateway-1", "gateway-2", "gateway-3", "gateway-4", "gateway-5"];
const BROKEN = "gateway-5";
/** Nothing listens there: the port is for a service that no system has any more. */
const NOT_LISTENING = "http://127.0.0.1:1";
const QUORUM = 2;
const BREAKER: BreakerSettings = {
  failureThreshold: 5,
  // Longer than the act, so that the broken gateway sends no probe.
  resetTimeoutMs: 30_000,
  halfOpenMax: 1,
  probeTimeoutMs: 30_000,
};
const HEALTHY_REQUESTS = 4;
const LATER_REQUESTS = 10;

/** Everything the act plays with. */
export interface BrokenNetworkStage {
  timeline: Timeline;
  upstream: Upstream;
  database: DemoDatabase;
  stomaPath: string;
  signal: AbortSignal;
}

/** What became of the requests that are sent once all gateways have traffic. */
interface Outcome {
  broken: Wave;
  others: Wave[];
  /** How many of these requests the upstream received. */
  received: number;
}

/** Plays the act and checks every step of it. */
export async function playBrokenNetwork(stage: BrokenNetworkStage): Promise<void> {
  await withoutQuorum(stage);
  await withQuorum(stage);
}

async function withoutQuorum(stage: BrokenNetworkStage): Promise<void> {
  const { timeline, database } = stage;
  timeline.heading(`Five gateways, of which ${BROKEN} cannot connect to the upstream`);
  const circuit = "orders, opened by any gateway";
  await using gateways = await start(stage, circuit, BREAKER);
  timeline.heading(`Without a quorum, the failures of ${BROKEN} count for all`);
  await oneGatewayFails({ ...stage, gateways: gateways.all });
  const listed = await database.find(circuit);
  timeline.claim(
    listed?.state === "open" && listed.actor === BROKEN,
    `the circuit in the database is open, and ${BROKEN} alone opened it`,
    `it is ${listed?.state} by ${listed?.actor}`,
  );
  const { others, received } = await allHaveTraffic({ ...stage, gateways: gateways.all });
  timeline.claim(
    areAll(others, isRefusedHere) && received === 0,
    `the ${others.length} others refuse all ${
      count(others)
    } requests, though the upstream is healthy`,
    `${statuses(others)}, upstream +${received}`,
  );
}

async function withQuorum(stage: BrokenNetworkStage): Promise<void> {
  const { timeline, database } = stage;
  timeline.heading(`The same gateways start again with "quorum: ${QUORUM}"`);
  const circuit = `orders, opened by ${QUORUM} gateways`;
  await using gateways = await start(stage, circuit, { ...BREAKER, quorum: QUORUM });
  timeline.heading(`With a quorum, ${BROKEN} has one vote`);
  await oneGatewayFails({ ...stage, gateways: gateways.all });
  const { broken, others, received } = await allHaveTraffic({ ...stage, gateways: gateways.all });
  timeline.claim(
    areAll([broken], isRefusedHere),
    `${BROKEN} refuses its own requests after ${BREAKER.failureThreshold} failures`,
    `${statuses([broken])}, Retry-After ${retryAfters(broken.answers)}`,
  );
  timeline.claim(
    areAll(others, isServed) && received === count(others),
    `the ${others.length} others refuse none of ${count(others)} requests, and all succeed`,
    `${statuses(others)}, upstream +${received}`,
  );
  const listed = await database.find(circuit);
  timeline.claim(
    listed?.state === "closed" && listed.votes.join() === BROKEN,
    `the circuit in the database is closed, and "list" names ${BROKEN} in "votes"`,
    `it is ${listed?.state} with the votes ${listed?.votes.join(", ") || "of none"}`,
  );
}

function start(
  { timeline, upstream, database, stomaPath, signal }: BrokenNetworkStage,
  circuit: string,
  breaker: BreakerSettings,
): Promise<Gateways> {
  const { url, table } = database;
  const settings = GATEWAYS.map((name): GatewaySettings => ({
    name,
    stomaPath,
    upstreamUrl: name === BROKEN ? NOT_LISTENING : upstream.url,
    circuit,
    breaker,
    database: { url, table },
  }));
  return startGateways(settings, timeline, signal);
}

/** The broken gateway fails as often as the threshold says, next to others for which all is well. */
async function oneGatewayFails({ timeline, upstream, gateways }: Traffic): Promise<void> {
  const { failureThreshold } = BREAKER;
  const others = await sendToAll(
    { timeline, upstream, gateways: gateways.filter(({ name }) => name !== BROKEN) },
    HEALTHY_REQUESTS,
  );
  timeline.claim(
    areAll(others, isServed),
    `${others.length} gateways reach the upstream`,
    statuses(others),
  );
  const before = upstream.received;
  const broken = gateways.find(({ name }) => name === BROKEN)!;
  const wave = await send(broken, failureThreshold);
  report({ timeline, upstream }, [wave]);
  timeline.claim(
    areAll([wave], ({ status }) => status === 502) && upstream.received === before,
    `${failureThreshold} requests through ${BROKEN} fail, and none of them reaches the upstream`,
    `${statuses([wave])}, upstream +${upstream.received - before}`,
  );
}

async function allHaveTraffic(traffic: Traffic): Promise<Outcome> {
  const before = traffic.upstream.received;
  const waves = await sendToAll(traffic, LATER_REQUESTS);
  return {
    broken: waves.find(({ gateway }) => gateway.name === BROKEN)!,
    others: waves.filter(({ gateway }) => gateway.name !== BROKEN),
    received: traffic.upstream.received - before,
  };
}

function isRefusedHere(answer: Wave["answers"][number]): boolean {
  return isRefused(answer, BREAKER.resetTimeoutMs / 1000);
}

function areAll(waves: readonly Wave[], holds: typeof isServed): boolean {
  return waves.every(({ answers }) => answers.every(holds));
}

function count(waves: readonly Wave[]): number {
  return waves.reduce((sum, { answers }) => sum + answers.length, 0);
}
