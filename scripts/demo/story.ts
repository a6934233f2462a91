import type { CircuitBreakerSnapshot } from "../../mod.ts";
import { Crowd } from "./crowd.ts";
import type { BreakerSettings } from "./messages.ts";
import {
  isRefused,
  isServed,
  report,
  retryAfters,
  send,
  sendToAll,
  statuses,
  summary,
  type Traffic,
} from "./waves.ts";

const HEALTHY_REQUESTS = 4;
const SPARED_REQUESTS = 10;
const ROUND_EVERY_MS = 50;
const RECOVERS_WITHIN_MS = 5_000;

/** Everything the story plays with. */
export interface Stage extends Traffic {
  breaker: BreakerSettings;
  /** Reads the circuit from the database; absent when the gateways share nothing. */
  peek?: () => Promise<CircuitBreakerSnapshot>;
}

/** Plays an outage from beginning to end and checks every step of it. */
export async function play(stage: Stage): Promise<void> {
  await healthy(stage);
  await oneGatewayLearns(stage);
  await allGatewaysKnow(stage);
  const crowd = new Crowd(stage.upstream);
  await oneGatewayProbes(stage, crowd);
  await allRecover(stage, crowd);
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
    waves.every(({ answers }) => answers.every(({ status }) => status === 503)),
    "every gateway refuses with 503, also those that never saw a failure",
    statuses(waves),
  );
  const longest = Math.ceil(resetTimeoutMs / 1000);
  const refusals = waves.flatMap(({ answers }) => answers.filter(({ status }) => status === 503));
  timeline.claim(
    refusals.length > 0 && refusals.every((answer) => isRefused(answer, longest)),
    `every refusal says how many seconds to wait, never more than ${longest}`,
    `Retry-After ${retryAfters(refusals)}`,
  );
  timeline.claim(
    upstream.received === before,
    `the upstream is spared: none of ${waves.length * SPARED_REQUESTS} requests reached it`,
    `${upstream.received - before} more requests reached it while it was down`,
  );
}

async function oneGatewayProbes(stage: Stage, crowd: Crowd): Promise<void> {
  const { timeline, upstream, gateways, breaker: { halfOpenMax, probeTimeoutMs } } = stage;
  timeline.heading("The upstream recovers, slowly");
  upstream.failing = false;
  timeline.event("upstream", "answers 200 from now on, but takes its time");
  await untilProbed(stage, crowd);
  const before = crowd.answers.length;
  timeline.event("demo", `${before} requests refused until the reset timeout was over`);
  for (const { gateway } of upstream.held) {
    timeline.event(gateway, "sends a probe, which waits for its answer");
  }
  const waiting = gateways.length * SPARED_REQUESTS;
  await crowd.send(gateways, SPARED_REQUESTS);
  const answers = crowd.answers.slice(before);
  const probes = upstream.held.map(({ gateway }) => gateway);
  timeline.claim(
    probes.length === halfOpenMax,
    `all gateways together send exactly ${halfOpenMax} probe`,
    `${probes.length} probes: ${probes.join(", ")}`,
  );
  const longest = Math.ceil(probeTimeoutMs / 1000);
  timeline.claim(
    answers.length === waiting && answers.every((answer) => isRefused(answer, longest)),
    `the others wait: ${waiting} more requests get 503 and Retry-After of at most ${longest}`,
    `${summary(answers)}, Retry-After ${retryAfters(answers)}`,
  );
}

async function allRecover(stage: Stage, crowd: Crowd): Promise<void> {
  const { timeline, gateways } = stage;
  timeline.heading("The probe gets its answer");
  const before = crowd.answers.length;
  await crowd.disperse();
  timeline.event("upstream", `answers what waited: ${summary(crowd.answers.slice(before))}`);
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
async function untilProbed(stage: Stage, crowd: Crowd): Promise<void> {
  const { upstream, gateways, breaker } = stage;
  const deadline = performance.now() + breaker.resetTimeoutMs + RECOVERS_WITHIN_MS;
  while (performance.now() < deadline) {
    await crowd.send(gateways, 1);
    if (upstream.held.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, ROUND_EVERY_MS));
  }
  throw new Error(
    `Cannot show the recovery: no gateway let a request through within ` +
      `${RECOVERS_WITHIN_MS} ms after the reset timeout, received ${summary(crowd.answers)}`,
  );
}
