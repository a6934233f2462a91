import type { CircuitBreakerSnapshot } from "../../mod.ts";
import type { Answer, GatewayProcess } from "./gateway_process.ts";
import type { BreakerSettings } from "./messages.ts";
import type { Timeline } from "./timeline.ts";
import type { Upstream } from "./upstream.ts";

const HEALTHY_REQUESTS = 4;
const SPARED_REQUESTS = 10;
const ROUND_EVERY_MS = 50;
const RECOVERS_WITHIN_MS = 5_000;

/** Everything the story plays with. */
export interface Stage {
  timeline: Timeline;
  upstream: Upstream;
  gateways: readonly GatewayProcess[];
  breaker: BreakerSettings;
  /** How many probes all gateways together may send when the reset timeout is over. */
  maxProbes: number;
  /** Reads the circuit from the database; absent when the gateways share nothing. */
  peek?: () => Promise<CircuitBreakerSnapshot>;
}

/** One gateway's answers to a wave of requests. */
interface Wave {
  gateway: GatewayProcess;
  answers: Answer[];
}

/** Plays an outage from beginning to end and checks every step of it. */
export async function tell(stage: Stage): Promise<void> {
  await healthy(stage);
  await oneGatewayLearns(stage);
  await allGatewaysKnow(stage);
  await recovery(stage);
}

async function healthy(stage: Stage): Promise<void> {
  const { timeline } = stage;
  timeline.heading("The upstream is healthy");
  const waves = await sendToAll(stage, HEALTHY_REQUESTS);
  timeline.claim(
    waves.every(({ answers }) => answers.every(isServed)),
    "every gateway lets traffic through",
    statuses(waves),
  );
}

async function oneGatewayLearns(stage: Stage): Promise<void> {
  const { timeline, upstream, gateways: [first], breaker: { failureThreshold } } = stage;
  timeline.heading(`The upstream fails, and only ${first!.name} has traffic`);
  upstream.failing = true;
  timeline.event("upstream", "answers 500 from now on");
  const before = upstream.received;
  const wave = await send(first!, failureThreshold);
  const { answers } = wave;
  report(stage, [wave]);
  timeline.claim(
    answers.every(({ status }) => status === 500) && upstream.received - before === answers.length,
    `${failureThreshold} requests reached the upstream, all through ${first!.name}, and failed`,
    `${statuses([wave])}, upstream +${upstream.received - before}`,
  );
  if (stage.peek === undefined) return;
  const { state, failureCount } = await stage.peek();
  timeline.claim(
    state === "open" && failureCount === failureThreshold,
    `the circuit in the database is open after ${failureThreshold} failures`,
    `it is ${state} after ${failureCount}`,
  );
}

async function allGatewaysKnow(stage: Stage): Promise<void> {
  const { timeline, upstream, breaker: { resetTimeoutMs } } = stage;
  timeline.heading("All gateways have traffic again");
  const before = upstream.received;
  const waves = await sendToAll(stage, SPARED_REQUESTS);
  timeline.claim(
    waves.every(({ answers }) => answers.every(isRefused)),
    "every gateway refuses with 503, also those that never saw a failure",
    statuses(waves),
  );
  const retryAfters = waves.flatMap(({ answers }) => answers.filter(isRefused))
    .map(({ retryAfter }) => retryAfter ?? NaN);
  const longest = Math.ceil(resetTimeoutMs / 1000);
  timeline.claim(
    retryAfters.length > 0 && retryAfters.every((wait) => wait >= 1 && wait <= longest),
    `every refusal says how many seconds to wait, never more than ${longest}`,
    `Retry-After ${[...new Set(retryAfters)].join(", ")}`,
  );
  timeline.claim(
    upstream.received === before,
    `the upstream is spared: none of ${waves.length * SPARED_REQUESTS} requests reached it`,
    `${upstream.received - before} more requests reached it while it was down`,
  );
}

async function recovery(stage: Stage): Promise<void> {
  const { timeline, upstream, gateways, maxProbes } = stage;
  timeline.heading("The upstream recovers");
  upstream.failing = false;
  timeline.event("upstream", "answers 200 from now on");
  const before = upstream.received;
  const { refused, served } = await untilServed(stage);
  timeline.event("demo", `${refused} requests refused until the reset timeout was over`);
  const probes = served.filter(({ answer }) => answer.state !== "closed");
  for (const { gateway } of probes) timeline.event(gateway.name, "sent a probe, which succeeded");
  const reached = upstream.received - before;
  timeline.claim(
    probes.length >= 1 && probes.length <= maxProbes && reached === served.length,
    `it took ${probes.length} of at most ${maxProbes} probes to find out`,
    `${probes.length} probes, ${served.length} served, ${reached} requests reached the upstream`,
  );
  const waves = await sendToAll(stage, HEALTHY_REQUESTS);
  timeline.claim(
    waves.every(({ answers }) => answers.every(isServed)),
    `the circuit is closed on all ${gateways.length} gateways`,
    statuses(waves),
  );
  if (stage.peek === undefined) return;
  const { state, failureCount } = await stage.peek();
  timeline.claim(
    state === "closed" && failureCount === 0,
    "the circuit in the database is closed and its failures are forgotten",
    `it is ${state} with ${failureCount} failures`,
  );
}

/**
 * Asks all gateways at once, round after round, until one lets a request through. All of them asking
 * together is the moment in which too many probes would show.
 */
async function untilServed(stage: Stage) {
  const deadline = performance.now() + stage.breaker.resetTimeoutMs + RECOVERS_WITHIN_MS;
  let refused = 0;
  while (performance.now() < deadline) {
    const round = await Promise.all(
      stage.gateways.map(async (gateway) => ({ gateway, answer: await gateway.request() })),
    );
    const served = round.filter(({ answer }) => answer.status === 200);
    refused += round.filter(({ answer }) => isRefused(answer)).length;
    if (served.length > 0) return { refused, served };
    await new Promise((resolve) => setTimeout(resolve, ROUND_EVERY_MS));
  }
  throw new Error(
    `Cannot show the recovery: no gateway let a request through within ` +
      `${RECOVERS_WITHIN_MS} ms after the reset timeout, received ${refused} refusals`,
  );
}

/** Sends as many requests to every gateway: through one after the other, through all at once. */
async function sendToAll(stage: Stage, requests: number): Promise<Wave[]> {
  const waves = await Promise.all(
    stage.gateways.map((gateway) => send(gateway, requests)),
  );
  report(stage, waves);
  return waves;
}

async function send(gateway: GatewayProcess, requests: number): Promise<Wave> {
  const answers: Answer[] = [];
  while (answers.length < requests) answers.push(await gateway.request());
  return { gateway, answers };
}

function report({ timeline, upstream }: Stage, waves: readonly Wave[]): void {
  for (const { gateway, answers } of waves) timeline.event(gateway.name, summary(answers));
  timeline.event("upstream", `has received ${upstream.received} requests`);
}

function isServed({ status, state }: Answer): boolean {
  return status === 200 && state === "closed";
}

function isRefused({ status }: Answer): boolean {
  return status === 503;
}

function statuses(waves: readonly Wave[]): string {
  return waves.map(({ gateway, answers }) => `${gateway.name} ${summary(answers)}`).join(", ");
}

/** Counts answers by status: "500 x5, 503 x5". */
function summary(answers: readonly Answer[]): string {
  const counts = new Map<number, number>();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status} x${count}`).join(", ");
}
