/** Permits: what they allow, and what their results do. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Permit, PermitOutcome } from "../../mod.ts";
import {
  assertRefused,
  assertState,
  assertVersion,
  BREAKER,
  KEY,
  LEASE,
  lookAt,
  probe,
  RESET,
  trip,
  tripUntilDue,
} from "./breaking.ts";
import { type ConformanceStore, failureOf, oneTo, snapshot, type Suite } from "./session.ts";

/** What a permit says. */
function saysOf({ allowed, state, isProbe, retryAfterMs }: Permit): unknown[] {
  return [allowed, state, isProbe, retryAfterMs];
}

const PASS = [true, "closed", false, 0];
const PROBE = [true, "half-open", true, 0];

async function acquireProbe(store: ConformanceStore): Promise<Permit> {
  const permit = await store.acquire(KEY);
  assertEquals(saysOf(permit), PROBE);
  return permit;
}

export function permitTests(suite: Suite): void {
  normalTests(suite);
  probeTests(suite);
  endTests(suite);
  lateTests(suite);
}

function normalTests({ configured, test }: Suite): void {
  configured("a permit of a closed circuit counts its result once", BREAKER, async (c) => {
    const counts: Record<PermitOutcome, number[]> = {
      success: [0, 1],
      failure: [1, 1],
      ignored: [1, 1],
    };
    for (const [outcome, expected] of Object.entries(counts)) {
      const permit = await c.store.acquire(KEY);
      assertEquals(saysOf(permit), PASS);
      await permit.report(outcome as PermitOutcome, { durationMs: 5 });
      for (const again of ["success", "failure", "ignored"] as const) await permit.report(again);
      const { failureCount, successCount } = await c.store.peek(KEY);
      assertEquals([failureCount, successCount], expected);
    }
  });

  configured("a permit of an open circuit refuses, and says for how long", BREAKER, async (c) => {
    await trip(c.store);
    for (const [elapsed, left] of [[0, RESET], [1, RESET - 1], [RESET - 1, 1]]) {
      c.clock.at = 1000 + elapsed!;
      const permit = await c.store.acquire(KEY);
      assertEquals(saysOf(permit), [false, "open", false, left]);
      const before = await lookAt(c);
      for (const outcome of ["success", "failure", "ignored"] as const) {
        await permit.report(outcome);
      }
      assertEquals(await lookAt(c), before);
    }
  });

  configured("a permit follows what an operator forces", BREAKER, async (c) => {
    await c.store.forceOpen(KEY, { forMs: 500 });
    assertEquals(saysOf(await c.store.acquire(KEY)), [false, "open", false, 500]);
    await c.store.forceOpen(KEY);
    assertEquals(saysOf(await c.store.acquire(KEY)), [false, "open", false, RESET]);
    await c.store.release(KEY);
    await trip(c.store);
    await c.store.forceClosed(KEY);
    assertEquals(saysOf(await c.store.acquire(KEY)), PASS);
  });

  configured(
    "without resetTimeoutMs an open circuit refuses",
    { failureThreshold: 3 },
    async (c) => {
      await trip(c.store);
      c.clock.at += 10 * RESET;
      assertEquals(saysOf(await c.store.acquire(KEY)), [false, "open", false, 1000]);
      await c.store.transition(KEY, "half-open");
      assertEquals(saysOf(await c.store.acquire(KEY)), [false, "half-open", false, 1000]);
    },
  );

  configured("a permit may be refused while the circuit ramps up", {
    ...BREAKER,
    rampUpMs: 10_000,
  }, async (c) => {
    await tripUntilDue(c);
    await (await acquireProbe(c.store)).report("success");
    const permits = await Promise.all(oneTo(500).map(() => c.store.acquire(KEY)));
    const refused = permits.filter(({ allowed }) => !allowed);
    assert(refused.length > 350 && refused.length < 500, `${refused.length} refused`);
    for (const permit of refused) assertEquals(saysOf(permit), [false, "closed", false, 1000]);
  });

  test("acquire() and report() reject wrong arguments", async (store) => {
    const wrong = (value: unknown) => value as never;
    const permit = await store.acquire("api");
    for (
      const [call, message] of [
        [() => store.acquire(wrong(42)), /^Cannot acquire permit: "key" must be a string/],
        [() => store.acquire("api", wrong(null)), /^Cannot acquire permit: "options" must be/],
        [
          () => store.acquire("api", { signal: wrong({}) }),
          /^Cannot acquire permit: "signal" must/,
        ],
        [
          () => permit.report(wrong("failed")),
          /^Cannot report result: "outcome" must be "success"/,
        ],
        [() => permit.report("success", { durationMs: wrong("5") }), /^Cannot report result: "dur/],
        [() => permit.report("success", { durationMs: -1 }), /^Cannot report result: "dur/],
        [() => permit.report("success", { durationMs: NaN }), /^Cannot report result: "dur/],
      ] as const
    ) {
      const error = await failureOf(call);
      assert(error instanceof Error);
      assertMatch(error.message, message);
    }
    await permit.report("success");
    assertEquals((await store.peek("api")).successCount, 1);
  });
}

function probeTests({ configured }: Suite): void {
  configured("a probe's success closes the circuit, and all others wait", BREAKER, async (c) => {
    await tripUntilDue(c);
    const permit = await acquireProbe(c.store);
    assertEquals(saysOf(await c.store.acquire(KEY)), [false, "half-open", false, LEASE]);
    await assertRefused(c, LEASE / 1000);
    c.clock.at += 500;
    await permit.report("success");
    assertEquals(
      await c.store.peek(KEY),
      snapshot({ lastFailureTime: 1000, lastStateChange: c.clock.at }),
    );
    await permit.report("failure");
    assertEquals(saysOf(await c.store.acquire(KEY)), PASS);
    await assertVersion(c, 3);
  });

  configured("a probe's failure opens the circuit, and is counted with it", BREAKER, async (c) => {
    await tripUntilDue(c);
    const permit = await acquireProbe(c.store);
    c.clock.at += 500;
    await permit.report("failure");
    const at = c.clock.at;
    assertEquals(
      await c.store.peek(KEY),
      snapshot({ state: "open", failureCount: 4, lastFailureTime: at, lastStateChange: at }),
    );
    const [last] = (await c.store.history()).slice(-1);
    assertEquals([last!.from, last!.to, last!.cause, last!.failureCount], [
      "half-open",
      "open",
      "probe",
      4,
    ]);
    await assertVersion(c, 3);
  });

  configured("successes of probes count until they suffice", {
    ...BREAKER,
    successThreshold: 3,
    halfOpenMax: 2,
  }, async (c) => {
    await tripUntilDue(c);
    const permits = [await acquireProbe(c.store), await acquireProbe(c.store)];
    for (const [place, permit] of permits.entries()) {
      await permit.report("success");
      const { state, successCount } = await c.store.peek(KEY);
      assertEquals([state, successCount], ["half-open", place + 1]);
    }
    await (await acquireProbe(c.store)).report("success");
    await assertState(c, "closed");
  });

  configured("an ignored probe gives its slot back in its round", BREAKER, async (c) => {
    await tripUntilDue(c);
    const permit = await acquireProbe(c.store);
    c.clock.at += LEASE - 1;
    await permit.report("ignored");
    await assertState(c, "half-open");
    const { row } = await lookAt(c);
    if (row) assertEquals([row.version, row.probeCount], [2, 0]);
    const next = await acquireProbe(c.store);
    await assertVersion(c, 2);
    // Its lease is whole.
    c.clock.at += LEASE - 1;
    assertEquals(saysOf(await c.store.acquire(KEY)), [false, "half-open", false, 1]);
    await next.report("success");
    await assertState(c, "closed");
  });

  configured("an ignored probe does not give back the slot of a success", {
    ...BREAKER,
    successThreshold: 2,
    halfOpenMax: 2,
  }, async (c) => {
    await tripUntilDue(c);
    const [one, two] = [await acquireProbe(c.store), await acquireProbe(c.store)];
    await one.report("success");
    await two.report("ignored");
    const three = await acquireProbe(c.store);
    assertEquals((await c.store.acquire(KEY)).allowed, false);
    await three.report("success");
    await assertState(c, "closed");
  });

  configured("permits and the policy have claims of their own", {
    ...BREAKER,
    halfOpenMax: 2,
  }, async (c) => {
    await tripUntilDue(c);
    const permit = await acquireProbe(c.store);
    await probe(c.store);
    await c.store.recordFailure(KEY);
    assertEquals((await c.store.transition(KEY, "open")).state, "open");
    await permit.report("success");
    await assertState(c, "open");
    await assertVersion(c, 3);
  });
}

function endTests({ configured, fleet }: Suite): void {
  configured("a signal that aborts gives the probe's slot back", BREAKER, async (c) => {
    await tripUntilDue(c);
    const controller = new AbortController();
    const { signal } = controller;
    const permit = await c.store.acquire(KEY, { signal });
    assertEquals(saysOf(permit), PROBE);
    controller.abort();
    // What was sent first is stored first.
    await permit.report("failure");
    const next = await until(() => c.store.acquire(KEY), ({ allowed }) => allowed);
    assertEquals(saysOf(next), PROBE);
    await assertVersion(c, 2);
    await next.report("ignored");
    // One that has aborted already leaves no slot taken.
    await c.store.acquire(KEY, { signal });
    const last = await until(() => c.store.acquire(KEY), ({ allowed }) => allowed);
    await last.report("success");
    await assertState(c, "closed");
  });

  configured("a signal that aborts after the report has no effect", BREAKER, async (c) => {
    const controller = new AbortController();
    const { signal } = controller;
    const normal = await c.store.acquire(KEY, { signal });
    await tripUntilDue(c);
    const permit = await c.store.acquire(KEY, { signal });
    await permit.report("success");
    await assertState(c, "closed");
    controller.abort();
    await normal.report("failure");
    assertEquals((await c.store.peek(KEY)).failureCount, 1);
    await assertVersion(c, 3);
  });

  fleet("close() hands back the probes that are not reported", BREAKER, async (f) => {
    const leaving = f.another();
    await tripUntilDue(f);
    const permit = await acquireProbe(leaving);
    assertEquals((await f.store.acquire(KEY)).allowed, false);
    await leaving.close();
    const next = await acquireProbe(f.store);
    await assertVersion(f, 2);
    await permit.report("failure");
    await assertState(f, "half-open");
    await next.report("success");
    await assertState(f, "closed");
  });

  fleet("a permit that is never reported costs one lease", BREAKER, async (f) => {
    const forgetful = f.another();
    await tripUntilDue(f);
    await acquireProbe(forgetful);
    f.clock.at += LEASE - 1;
    assertEquals(saysOf(await f.store.acquire(KEY)), [false, "half-open", false, 1]);
    f.clock.at += 1;
    // Its own instance owes the result, and lets others go first.
    assertEquals(saysOf(await forgetful.acquire(KEY)), [false, "half-open", false, LEASE]);
    await (await acquireProbe(f.store)).report("success");
    await assertState(f, "closed");
  });
}

function lateTests({ configured, fleet }: Suite): void {
  for (const outcome of ["success", "failure", "ignored"] as const) {
    fleet(`a late ${outcome} of a permit is counted and moves nothing`, BREAKER, async (f) => {
      const other = f.another();
      await tripUntilDue(f);
      const late = await acquireProbe(f.store);
      f.clock.at += LEASE;
      const successor = await acquireProbe(other);
      const before = await lookAt(f);
      await late.report(outcome);
      const { snapshot, row } = await lookAt(f);
      const { failureCount, successCount, state, lastStateChange } = snapshot;
      assertEquals([state, lastStateChange], ["half-open", f.clock.at]);
      assertEquals([failureCount, successCount], [
        before.snapshot.failureCount + (outcome === "failure" ? 1 : 0),
        outcome === "success" ? 1 : 0,
      ]);
      assertEquals([row!.version, row!.probeCount], [3, 1]);
      await successor.report("success");
      await assertState(f, "closed");
    });
  }

  fleet("a late failure of a permit opens a circuit that it makes due", BREAKER, async (f) => {
    const other = f.another();
    await tripUntilDue(f);
    const late = await acquireProbe(f.store);
    f.clock.at += LEASE;
    await (await acquireProbe(other)).report("success");
    for (const _ of oneTo(2)) await other.recordFailure(KEY);
    await late.report("failure");
    const { state, failureCount } = await other.peek(KEY);
    assertEquals([state, failureCount], ["open", 3]);
    const [last] = (await other.history()).slice(-1);
    assertEquals([last!.cause, last!.failureCount], ["trip", 3]);
  });

  configured("a result after reset() is counted and moves nothing", BREAKER, async (c) => {
    await tripUntilDue(c);
    const permit = await acquireProbe(c.store);
    await c.store.reset(KEY);
    await permit.report("failure");
    assertEquals(
      await c.store.peek(KEY),
      snapshot({ failureCount: 1, lastFailureTime: c.clock.at }),
    );
  });

  configured("a result while an operator forces a state only counts", BREAKER, async (c) => {
    await tripUntilDue(c);
    const permit = await acquireProbe(c.store);
    await c.store.forceClosed(KEY);
    await permit.report("failure");
    await c.store.release(KEY);
    const { state, failureCount } = await c.store.peek(KEY);
    assertEquals([state, failureCount], ["half-open", 4]);
  });
}

/** Asks again until the answer is as expected: what a signal does is stored in the background. */
async function until<Answer>(
  ask: () => Promise<Answer>,
  isExpected: (answer: Answer) => boolean,
): Promise<Answer> {
  for (const _ of oneTo(2000)) {
    const answer = await ask();
    if (isExpected(answer)) return answer;
    // An answer from a cache comes before anything else can happen.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("Expected another answer");
}
