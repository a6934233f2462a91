/**
 * Rates beside a breaker of others: cockatiel's `SamplingBreaker` and the store in memory get the same
 * calls at the same times, and open at the same call. Where their rules differ, the test says how:
 *
 * - Both count in segments. Cockatiel's begin with a call, and each call that comes too late begins the next
 *   one, however much later. The store's begin with multiples of their length. So the calls here come
 *   steadily, and some of them at those multiples; cockatiel forgets nothing while no calls come.
 * - Cockatiel opens above the threshold, and the store from the threshold on. No share of these calls is
 *   exactly the threshold.
 * - Cockatiel judges failures only, so it opens with the first failure after the call that made the rate due.
 *   The store opens with that call, also where it is a success.
 */

import { assert, assertEquals } from "@std/assert";
import { SamplingBreaker } from "cockatiel";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { randomOf } from "../support/random.ts";

const CLOSED = 0;
const WINDOW = 10_000;
const STEP = 50;
const KEY = "api";

interface Rule {
  failureRateThreshold: number;
  minimumThroughput: number;
}

/** A store, and a clock that it shares with cockatiel. */
function opened({ failureRateThreshold, minimumThroughput }: Rule) {
  const clock = { at: 1_000_000 };
  const store = new InMemoryCircuitBreakerStore({
    failureRateThreshold,
    minimumThroughput,
    windowMs: WINDOW,
    now: () => clock.at,
  });
  const breaker = new SamplingBreaker({
    threshold: failureRateThreshold,
    duration: WINDOW,
    minimumRps: minimumThroughput / (WINDOW / 1000),
  });
  return { clock, store, breaker };
}

/** Whether cockatiel opens with this call. Its clock cannot be given, so it is replaced meanwhile. */
function opensThere(breaker: SamplingBreaker, isFailure: boolean, at: number): boolean {
  const { now } = Date;
  Date.now = () => at;
  try {
    if (isFailure) return breaker.failure(CLOSED);
    breaker.success(CLOSED);
    return false;
  } finally {
    Date.now = now;
  }
}

async function opensHere(store: InMemoryCircuitBreakerStore, isFailure: boolean): Promise<boolean> {
  const { state } = isFailure ? await store.recordFailure(KEY) : await store.recordSuccess(KEY);
  return state === "open";
}

Deno.test("the store opens at the same call as cockatiel's SamplingBreaker", async () => {
  const met = { together: 0, bySuccess: 0, never: 0 };
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed);
    const rule = {
      failureRateThreshold: 0.2503 + 0.4 * (seed % 2),
      minimumThroughput: [10, 40, 150][seed % 3]!,
    };
    const { clock, store, breaker } = opened(rule);
    // The share of failures changes once, so that circuits also open late.
    const shares = [random() * rule.failureRateThreshold, random()];
    const changesAt = Math.floor(random() * 300);
    let outcome: keyof typeof met = "never";
    for (let call = 0; call < 600 && outcome === "never"; call++) {
      const isFailure = random() < shares[call < changesAt ? 0 : 1]!;
      const here = await opensHere(store, isFailure);
      const there = opensThere(breaker, isFailure, clock.at);
      if (here && !isFailure) outcome = "bySuccess";
      else if (here) outcome = "together";
      if (outcome !== "bySuccess") assertEquals(here, there, `seed ${seed}, call ${call}`);
      else assertEquals(there, false, `seed ${seed}, call ${call}`);
      clock.at += STEP;
    }
    met[outcome]++;
  }
  for (const [what, times] of Object.entries(met)) assert(times > 5, `${what}: ${times}`);
});

/** Calls in words: `f` and `s` for a failure and a success, a number for a pause in milliseconds. */
type Calls = readonly (string | number)[];

/**
 * When a circuit opens, by the number of the call, or never. Half of at least ten calls in ten seconds
 * have to fail. The values are counted by hand, and hold for a rolling window such as that of Deno's
 * standard library too, unless the remark says otherwise.
 */
const OPENINGS: readonly [calls: Calls, at: number | undefined][] = [
  [["fffffffff"], undefined],
  [["ffffffffff"], 10],
  [["sssssfffff"], 10],
  [["ssssssffffff"], 12],
  [["sfsfsfsfsf"], 10],
  [["ffffsssss", "s"], undefined],
  // A success completes the least number of calls: breakers that judge failures only open at the next one.
  [["fffffssss", "s"], 10],
  [["fffff", 10_000, "fffff"], undefined],
  [["fffff", 9000, "fffff"], 10],
  [["ssssssssss", 5000, "fffffffff", "f"], 20],
  // The successes leave the window: half of the calls that are left have failed.
  [["ssssssssss", 5000, "fffffffff", 5000, "f"], 20],
  // A rolling window that is exact would count these for 10,000 ms; tenths end with their second.
  [["fffff", 9999, "fffff"], 10],
  [[900, "fffff", 9100, "fffff"], undefined],
];

Deno.test("a rate opens the circuit at the calls that are expected", async () => {
  for (const [calls, expected] of OPENINGS) {
    const { clock, store } = opened({ failureRateThreshold: 0.5, minimumThroughput: 10 });
    let [call, at]: [number, number | undefined] = [0, undefined];
    for (const part of calls) {
      if (typeof part === "number") clock.at += part;
      else {
        for (const result of part) {
          call++;
          if (await opensHere(store, result === "f")) at ??= call;
        }
      }
    }
    assertEquals(at, expected, JSON.stringify(calls));
  }
});

Deno.test("0.1 percent of errors over 100,000 requests opens nothing", async () => {
  const random = randomOf(1);
  const { clock, store } = opened({ failureRateThreshold: 0.5, minimumThroughput: 20 });
  let failures = 0;
  for (let call = 0; call < 100_000; call++) {
    const isFailure = random() < 0.001;
    if (isFailure) failures++;
    assertEquals(await opensHere(store, isFailure), false, `call ${call}`);
    // From two calls in a segment to a hundred.
    clock.at += 10 + Math.floor(random() * 500) * (call % 2);
  }
  assert(failures > 50);
  assertEquals(await store.history(), []);
});
