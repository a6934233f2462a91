import { assert, assertEquals } from "@std/assert";
import { type CircuitRow, Fleet } from "./stampede/fleet.ts";
import type { Answer, Breaker } from "./stampede/messages.ts";
import type { Held } from "./stampede/upstream.ts";
import { bundleStoma, type StomaBundle } from "./support/stoma.ts";

const BREAKER: Breaker = {
  failureThreshold: 5,
  resetTimeoutMs: 30_000,
  halfOpenMax: 1,
  probeTimeoutMs: 40_000,
};
const NO_SKEW = [0, 0, 0, 0, 0];
const MINUTE = 60_000;
const REQUESTS = 20;
const ROUNDS = 50;
const LEASE_ENDS_WITHIN_MS = 10_000;

let bundle: StomaBundle;
Deno.test.beforeAll(async () => {
  bundle = await bundleStoma();
});
Deno.test.afterAll(async () => await bundle[Symbol.asyncDispose]());

function startFleet(skews: readonly number[], breaker: Partial<Breaker> = {}, isShared = true) {
  const { gatewayPath: stomaPath } = bundle;
  return Fleet.start({ stomaPath, skews, isShared, breaker: { ...BREAKER, ...breaker } });
}

/** Asserts that all answers are refusals with a Retry-After of at most `withinMs`. */
function assertRefused(answers: readonly Answer[], withinMs: number): void {
  const longest = Math.ceil(withinMs / 1000);
  for (const { status, retryAfter, state } of answers) {
    assertEquals([status, state], [503, "open"]);
    const seconds = /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) : NaN;
    assert(seconds >= 1 && seconds <= longest, `Retry-After ${retryAfter} of at most ${longest}`);
  }
}

/** What probes are answered with: in most rounds all the same, in some the late ones differ. */
function verdictsOf(round: number, probes: number): number[] {
  const first = round % 2 ? 500 : 200;
  const late = round % 3 ? first : 700 - first;
  return Array.from({ length: probes }, (_, index) => index ? late : first);
}

/** Waits until no gateway can answer from memory with what plain SQL has changed: ten bounds. */
async function forget({ breaker: { maxStalenessMs } }: Fleet): Promise<void> {
  if (maxStalenessMs === undefined) return;
  await new Promise((resolve) => setTimeout(resolve, 11 * maxStalenessMs));
}

/** One open period: every gateway asks at once when it ends, and the probes decide. */
async function playRound(fleet: Fleet, round: number): Promise<Held[]> {
  const { gateways, breaker: { halfOpenMax, probeTimeoutMs } } = fleet;
  const ordered = gateways.map((_, index) => gateways[(index + round) % gateways.length]!);
  await fleet.expire();
  await forget(fleet);
  const before = await fleet.row();
  const { answers, held } = await fleet.stampede(ordered, REQUESTS);
  assertEquals(held.length, halfOpenMax);
  assertEquals(answers.length, gateways.length * REQUESTS - halfOpenMax);
  assertRefused(answers, probeTimeoutMs);
  assertEquals(await changes(fleet, before), ["half-open", 1]);

  const verdicts = verdictsOf(round, halfOpenMax);
  for (const [index, status] of verdicts.entries()) {
    assertEquals(await fleet.release(held[index]!, status), {
      status,
      retryAfter: null,
      state: "half-open",
    });
    // The first result decides; the version says that the others changed nothing.
    assertEquals(await changes(fleet, before), [verdicts[0] === 200 ? "closed" : "open", 2]);
  }
  return held;
}

/** The circuit's state, and how often it has changed. */
async function changes(fleet: Fleet, before: CircuitRow): Promise<[string, number]> {
  const { state, version } = await fleet.row();
  return [state, version - before.version];
}

for (const halfOpenMax of [1, 3]) {
  Deno.test(`${ROUNDS} stampedes of 5 gateway processes, halfOpenMax ${halfOpenMax}`, async () => {
    await using fleet = await startFleet(NO_SKEW, { halfOpenMax });
    const [first] = fleet.gateways;
    await fleet.trip(first!);
    const probers = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const { gateway } of await playRound(fleet, round)) probers.add(gateway);
      if ((await fleet.row()).state === "closed") await fleet.trip(first!);
    }
    // If one gateway were always first, no other would have raced it.
    assert(probers.size > 1, `all probes came through ${[...probers]}`);
  });
}

Deno.test(`${ROUNDS} stampedes of 5 gateway processes that ask for permits`, async () => {
  const breaker = { halfOpenMax: 3, trip: "store", usesPermits: true } as const;
  await using fleet = await startFleet(NO_SKEW, breaker);
  const [first] = fleet.gateways;
  await fleet.trip(first!);
  for (let round = 0; round < ROUNDS; round++) {
    await playRound(fleet, round);
    if ((await fleet.row()).state === "closed") await fleet.trip(first!);
  }
});

Deno.test("20 stampedes of 5 gateway processes that answer from memory", async () => {
  await using fleet = await startFleet(NO_SKEW, { halfOpenMax: 3, maxStalenessMs: 40 });
  for (let round = 0; round < 20; round++) {
    if (round === 0 || (await fleet.row()).state === "closed") {
      await forget(fleet);
      await fleet.trip(fleet.gateways[round % 5]!);
    }
    await playRound(fleet, round);
  }
});

Deno.test("the same stampede without the store's options sends too many probes", async () => {
  await using fleet = await startFleet(NO_SKEW, {}, false);
  await fleet.trip(fleet.gateways[0]!);
  await fleet.expire();
  const { held } = await fleet.stampede(fleet.gateways, REQUESTS);
  assert(held.length > BREAKER.halfOpenMax, `${held.length} probes`);
});

Deno.test("a stampede of gateways whose clocks are two minutes apart", async () => {
  await using fleet = await startFleet([0, MINUTE, -MINUTE, MINUTE, -MINUTE], { halfOpenMax: 3 });
  const { gateways } = fleet;
  for (let round = 0; round < 10; round++) {
    await fleet.trip(gateways[round % gateways.length]!);
    // Not yet due, though by half of the clocks it were: the distance is over the reset timeout.
    const early = await fleet.stampede(gateways, REQUESTS);
    assertEquals(early.held, []);
    assertRefused(early.answers, BREAKER.resetTimeoutMs);
    // A failed probe leaves the circuit open; the next trip then changes nothing.
    await playRound(fleet, round);
  }
});

Deno.test("the probe of a killed gateway is replaced after its lease, and not before", async () => {
  const probeTimeoutMs = 400;
  await using fleet = await startFleet(NO_SKEW, { probeTimeoutMs });
  const alive = [...fleet.gateways];
  await fleet.trip(alive[0]!);
  await fleet.expire();
  let { held: [probe] } = await fleet.stampede(alive, REQUESTS);

  for (let crash = 0; crash < 3; crash++) {
    const prober = fleet.gatewayOf(probe!);
    await prober.kill();
    alive.splice(alive.indexOf(prober), 1);
    const lost = await fleet.row();
    // Denied traffic without a pause: it does not keep the lost lease alive.
    const givenUpAt = performance.now() + LEASE_ENDS_WITHIN_MS;
    let outcome = { answers: [] as Answer[], held: [probe!] };
    while (outcome.held.length === 1 && performance.now() < givenUpAt) {
      outcome = await fleet.stampede(alive, 2);
      assertRefused(outcome.answers, Math.max(probeTimeoutMs, 1000));
    }
    assertEquals(outcome.held.length, 2);
    const next = await fleet.row();
    assertEquals([next.state, next.version], ["half-open", lost.version + 1]);
    const late = next.lastStateChange - lost.probeExpiresAt;
    assert(
      late >= 0 && late < LEASE_ENDS_WITHIN_MS,
      `the next probe came ${late} ms after the lease`,
    );
    outcome.held[0]!.answer(200); // its gateway was killed and does not hear it
    probe = outcome.held[1];
  }
  assertEquals((await fleet.release(probe!, 200)).status, 200);
  assertEquals((await fleet.row()).state, "closed");
  const { held } = await fleet.stampede(alive, REQUESTS);
  assertEquals(held.length, alive.length * REQUESTS);
});

for (const [verdict, late] of [[200, 500], [500, 200]] as const) {
  Deno.test(`a probe answered ${late} after its successor's ${verdict} changes nothing`, async () => {
    await using fleet = await startFleet([0, 0]);
    const [slow, quick] = fleet.gateways;
    await fleet.trip(slow!);
    await fleet.expire();
    const { held: [outlived] } = await fleet.stampede([slow!], REQUESTS);
    await fleet.endLease();
    const { answers, held } = await fleet.stampede([quick!], REQUESTS);
    assertEquals([held.length, answers.length], [2, REQUESTS - 1]);
    assertEquals((await fleet.release(held[1]!, verdict)).status, verdict);

    const settled = await fleet.row();
    assertEquals(settled.state, verdict === 200 ? "closed" : "open");
    assertEquals((await fleet.release(outlived!, late)).status, late);
    assertEquals(await fleet.row(), settled);
  });
}
