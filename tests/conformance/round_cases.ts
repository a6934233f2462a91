/** Rounds of probes: how many successes close a circuit, and how long it stays open after a failure. */

import { assert, assertEquals } from "@std/assert";
import {
  ask,
  assertRefused,
  assertState,
  assertVersion,
  BREAKER,
  KEY,
  LEASE,
  probe,
  report,
  RESET,
  trip,
  tripUntilDue,
} from "./breaking.ts";
import { verdictOf } from "../support/policy.ts";
import { type Configured, oneTo, type StoreOptions, type Suite } from "./session.ts";

export function roundTests(suite: Suite): void {
  thresholdTests(suite);
  backoffTests(suite);
  rampTests(suite);
}

function thresholdTests({ configured, fleet }: Suite): void {
  const three: StoreOptions = { ...BREAKER, successThreshold: 3 };

  configured("three successes of one probe each close the circuit", three, async (c) => {
    await tripUntilDue(c);
    for (const success of oneTo(2)) {
      await probe(c.store);
      assertEquals((await report(c.store, "success")).state, "half-open");
      await assertVersion(c, 1 + success);
      c.clock.at += 100;
    }
    await probe(c.store);
    await assertVersion(c, 4);
    assertEquals((await report(c.store, "success")).state, "closed");
    await assertVersion(c, 5);
    assertEquals((await ask3(c)).length, 3);
  });

  configured("a round that is not over admits no more", three, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    await assertRefused(c, LEASE / 1000);
    await report(c.store, "success");
    // The next round is due at once, also when the lease of the last one has ended.
    c.clock.at += 2 * LEASE;
    await probe(c.store);
    await assertRefused(c, LEASE / 1000);
    await report(c.store, "success");
    await probe(c.store);
    assertEquals((await report(c.store, "success")).state, "closed");
  });

  const rounds = { ...three, halfOpenMax: 2 };
  configured("requests that are rarer than leases close the circuit", rounds, async (c) => {
    await tripUntilDue(c);
    for (const _ of oneTo(2)) {
      await probe(c.store);
      assertEquals((await report(c.store, "success")).state, "half-open");
      c.clock.at += LEASE;
    }
    await probe(c.store);
    assertEquals((await report(c.store, "success")).state, "closed");
  });

  configured("a round of two is followed by another of two", rounds, async (c) => {
    await tripUntilDue(c);
    assertEquals((await ask([c.store], 5, c.clock.at)).probes, 2);
    assertEquals((await report(c.store, "success")).state, "half-open");
    // The other probe of the round is under way.
    assertEquals((await ask([c.store], 5, c.clock.at)).probes, 0);
    assertEquals((await report(c.store, "success")).state, "half-open");
    await assertVersion(c, 2);
    assertEquals((await ask([c.store], 5, c.clock.at)).probes, 2);
    await assertVersion(c, 3);
    assertEquals((await report(c.store, "success")).state, "closed");
    await assertVersion(c, 4);
  });

  configured("two of three probes close a circuit that needs two", {
    ...BREAKER,
    halfOpenMax: 3,
    successThreshold: 2,
  }, async (c) => {
    await tripUntilDue(c);
    assertEquals((await ask([c.store], 5, c.clock.at)).probes, 3);
    await report(c.store, "success");
    await assertState(c, "half-open");
    await report(c.store, "success");
    await assertState(c, "closed");
    await report(c.store, "failure");
    await assertState(c, "closed");
  });

  configured("one failure opens, and the successes before it count no more", three, async (c) => {
    await tripUntilDue(c);
    for (const result of ["success", "success", "failure"] as const) {
      await probe(c.store);
      await report(c.store, result);
    }
    await assertState(c, "open");
    await assertRefused(c, RESET / 1000);
    c.clock.at += RESET;
    for (const _ of oneTo(2)) {
      await probe(c.store);
      assertEquals((await report(c.store, "success")).state, "half-open");
    }
    await probe(c.store);
    assertEquals((await report(c.store, "success")).state, "closed");
  });

  configured(
    "successes of rounds are logged as rounds, and shown only on request",
    three,
    async (c) => {
      await tripUntilDue(c);
      for (const _ of oneTo(3)) {
        await probe(c.store);
        await report(c.store, "success");
      }
      const stepsOf = async (rounds: boolean) =>
        (await c.store.history({ rounds })).map(({ from, to, cause }) => `${from} ${to} ${cause}`);
      const [trip, begin, end] = [
        "closed open trip",
        "open half-open probe",
        "half-open closed probe",
      ];
      const round = "half-open half-open round";
      assertEquals(await stepsOf(false), [trip, begin, end]);
      assertEquals(await stepsOf(true), [trip, begin, round, round, end]);
    },
  );

  fleet("successes of several instances add up", three, async (f) => {
    const others = [f.another(), f.another()];
    await tripUntilDue(f);
    for (const store of [f.store, others[0]!]) {
      await probe(store);
      assertEquals((await report(store, "success")).state, "half-open");
    }
    await probe(others[1]!);
    assertEquals((await report(others[1]!, "success")).state, "closed");
  });

  fleet("a lost probe is no success in a row: the next round begins anew", rounds, async (f) => {
    const crashed = f.another();
    await tripUntilDue(f);
    await probe(crashed);
    await probe(f.store);
    await report(f.store, "success");
    f.clock.at += LEASE;
    for (const _ of oneTo(2)) {
      await probe(f.store);
      assertEquals((await report(f.store, "success")).state, "half-open");
    }
    await probe(f.store);
    assertEquals((await report(f.store, "success")).state, "closed");
  });
}

/** What three requests get of a closed circuit. */
async function ask3({ store }: Configured): Promise<unknown[]> {
  const states = await Promise.all(oneTo(3).map(() => store.getState(KEY)));
  return states.filter(({ state }) => state === "closed");
}

function backoffTests({ configured }: Suite): void {
  const doubling: StoreOptions = { ...BREAKER, resetBackoff: { maxMs: 100_000 } };

  configured("the reset timeout grows with each failed round", doubling, async (c) => {
    await trip(c.store);
    for (const seconds of [30, 60, 100, 100]) {
      await assertRefused(c, seconds);
      const [listed] = await c.store.list();
      assertEquals(listed!.retryAt, c.clock.at + seconds * 1000);
      c.clock.at += seconds * 1000 - 1;
      await assertRefused(c, 1);
      c.clock.at += 1;
      await probe(c.store);
      await report(c.store, "failure");
    }
    await assertRefused(c, 100);
  });

  configured("failed rounds are forgotten once it was closed for a while", doubling, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    await report(c.store, "failure");
    c.clock.at += 60_000;
    await probe(c.store);
    await report(c.store, "success");
    c.clock.at += RESET - 1;
    await trip(c.store);
    await assertRefused(c, 60);
    c.clock.at += 60_000;
    await probe(c.store);
    await report(c.store, "success");
    c.clock.at += RESET;
    await trip(c.store);
    await assertRefused(c, 30);
  });

  configured("reset() forgets failed rounds", doubling, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    await report(c.store, "failure");
    await c.store.reset(KEY);
    await trip(c.store);
    await assertRefused(c, 30);
  });

  configured("a longer timeout does not outlast a clock that was set back", doubling, async (c) => {
    c.clock.at = 10_000_000;
    await tripUntilDue(c);
    await probe(c.store);
    await report(c.store, "failure");
    const opened = c.clock.at;
    c.clock.at = opened - 59_999;
    assertEquals((await c.store.getState(KEY)).state, "open");
    c.clock.at = opened - 60_000;
    await probe(c.store);
  });

  configured("jitter spreads the end of the timeout", {
    ...BREAKER,
    resetBackoff: { factor: 1, jitter: 0.5 },
  }, async (c) => {
    await Promise.all(oneTo(40).map((place) => trip(c.store, `${KEY} ${place}`)));
    const waits = (await c.store.list()).map(({ retryAt }) => retryAt! - c.clock.at);
    assertEquals(waits.length, 40);
    for (const wait of waits) assert(wait > RESET / 2 - 1 && wait <= RESET, `${wait} ms`);
    assert(new Set(waits).size > 20, `${waits}`);
    c.clock.at += RESET / 2 - 1;
    assertEquals((await c.store.getState(`${KEY} 1`)).state, "open");
    c.clock.at += RESET / 2 + 1;
    await probe(c.store, `${KEY} 1`);
  });
}

function rampTests({ configured }: Suite): void {
  const ramping: StoreOptions = { ...BREAKER, rampUpMs: 10_000 };
  const REQUESTS = 2000;

  configured("a circuit that has just closed admits a growing share", ramping, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    await report(c.store, "success");
    for (const [age, share] of [[0, 0.1], [5000, 0.55], [10_000, 1]]) {
      c.clock.at += age! - (c.clock.at - (await c.store.peek(KEY)).lastStateChange);
      const states = await Promise.all(oneTo(REQUESTS).map(() => c.store.getState(KEY)));
      const refused = states.filter(({ state }) => state === "open");
      // Six standard deviations: one run of some hundred million lies outside.
      const margin = 6 * Math.sqrt(REQUESTS * share! * (1 - share!));
      const admitted = REQUESTS - refused.length;
      assert(Math.abs(admitted - REQUESTS * share!) <= margin, `${admitted} at ${age} ms`);
      for (const snapshot of refused) {
        assertEquals(verdictOf(snapshot, c.clock.at, RESET), { kind: "refuse", retryAfter: 1 });
      }
    }
    await assertState(c, "closed");
  });

  configured("a forced, a reset and a new circuit admit all at once", ramping, async (c) => {
    const admitsAll = async () => {
      const states = await Promise.all(oneTo(100).map(() => c.store.getState(KEY)));
      assertEquals(states.filter(({ state }) => state !== "closed"), []);
    };
    await admitsAll();
    await tripUntilDue(c);
    await c.store.forceClosed(KEY);
    await admitsAll();
    await c.store.release(KEY);
    await probe(c.store);
    await report(c.store, "success");
    await c.store.forceClosed(KEY);
    await admitsAll();
    await c.store.reset(KEY);
    await admitsAll();
  });
}
