/** Probes of one instance: when they are admitted, how many, and for how long. */

import { assertEquals } from "@std/assert";
import {
  ask,
  assertRefused,
  assertState,
  assertVersion,
  BREAKER,
  KEY,
  LEASE,
  lookAt,
  probe,
  report,
  RESET,
  trip,
  tripUntilDue,
} from "./breaking.ts";
import { verdictOf } from "../support/policy.ts";
import { oneTo, snapshot, type Suite } from "./session.ts";

export function probingTests(suite: Suite): void {
  admissionTests(suite);
  leaseTests(suite);
}

function admissionTests({ configured }: Suite): void {
  configured("an open circuit admits a probe at resetTimeoutMs, not before", BREAKER, async (c) => {
    await trip(c.store);
    for (const [elapsed, seconds] of [[0, 30], [1, 30], [999, 30], [1000, 29], [29_001, 1]]) {
      c.clock.at = 1000 + elapsed!;
      await assertRefused(c, seconds!);
    }
    c.clock.at = 1000 + RESET - 1;
    await assertRefused(c, 1);
    await assertVersion(c, 1);
    c.clock.at = 1000 + RESET;
    const admitted = snapshot({
      state: "half-open",
      failureCount: 3,
      lastFailureTime: 1000,
      lastStateChange: 1000 + RESET,
    });
    assertEquals(await c.store.getState(KEY), admitted);
    assertEquals(await c.store.peek(KEY), admitted);
    await assertVersion(c, 2);
  });

  for (const halfOpenMax of [1, 3]) {
    const options = { ...BREAKER, halfOpenMax };
    configured(`concurrent requests at expiry send ${halfOpenMax}`, options, async (c) => {
      await tripUntilDue(c);
      for (const round of oneTo(5)) {
        const { probes, retryAfters } = await ask([c.store], 20, c.clock.at);
        assertEquals(probes, halfOpenMax);
        assertEquals(retryAfters, Array(20 - halfOpenMax).fill(LEASE / 1000));
        await assertVersion(c, 1 + round);
        c.clock.at += 2 * LEASE;
      }
    });

    configured(`requests one by one at expiry send ${halfOpenMax}`, options, async (c) => {
      await tripUntilDue(c);
      for (const place of oneTo(halfOpenMax)) {
        await probe(c.store);
        const row = await c.row(KEY);
        if (row) assertEquals([row.version, row.probeCount], [2, place]);
      }
      for (const _ of oneTo(5)) await assertRefused(c, LEASE / 1000);
    });
  }

  configured("a refusal stands while the policy takes its time", BREAKER, async (c) => {
    await trip(c.store);
    for (const left of [1, 500, 999, 1000]) {
      c.clock.at = 1000 + RESET - left;
      const refused = await c.store.getState(KEY);
      // The policy asks for the time once it has the snapshot: by then the circuit may be due.
      assertEquals(verdictOf(refused, c.clock.at + 999, RESET), { kind: "refuse", retryAfter: 1 });
    }
    await assertState(c, "open");
  });

  configured("a circuit is judged apart from others", BREAKER, async (c) => {
    const keys = ["", "a", "b\0", "\ud800", "x".repeat(10_000), ...oneTo(20).map(String)];
    await Promise.all(keys.map((key) => trip(c.store, key)));
    c.clock.at += RESET;
    await trip(c.store, "later");
    const answers = await Promise.all(keys.map((key) => ask([c.store], 4, c.clock.at, key)));
    assertEquals(answers.map((each) => each.probes), keys.map(() => 1));
    await assertRefused(c, 30, "later");
    for (const key of keys) assertEquals((await report(c.store, "success", key)).state, "closed");
    assertEquals((await c.store.list({ state: "open" })).map((each) => each.key), ["later"]);
  });

  configured("peek() and list() neither claim nor hide a probe", BREAKER, async (c) => {
    await tripUntilDue(c);
    const before = await lookAt(c);
    assertEquals([before.snapshot.state, before.snapshot.lastStateChange], ["open", 1000]);
    const listed = await c.store.list();
    assertEquals(listed.map(({ state, lastStateChange }) => [state, lastStateChange]), [[
      "open",
      1000,
    ]]);
    for (const _ of oneTo(3)) {
      assertEquals(await c.store.peek([KEY, KEY]), [before.snapshot, before.snapshot]);
      assertEquals(await c.store.list({ state: "open" }), listed);
    }
    assertEquals(await lookAt(c), before);
    await probe(c.store);
    await assertState(c, "half-open");
    assertEquals((await c.store.list()).map((each) => each.state), ["half-open"]);
    await assertRefused(c, LEASE / 1000);
  });

  configured("successes count anew in each round, failures go on", BREAKER, async (c) => {
    await c.store.recordSuccess(KEY);
    await tripUntilDue(c);
    const { successCount, failureCount } = await c.store.getState(KEY);
    assertEquals([successCount, failureCount], [0, 3]);
    assertEquals((await c.store.recordSuccess(KEY)).successCount, 1);
    c.clock.at += 2 * LEASE;
    assertEquals((await c.store.getState(KEY)).successCount, 0);
  });
}

function leaseTests({ configured }: Suite): void {
  configured(
    "the slot of an instance's own lost probe returns after two leases, not before",
    BREAKER,
    async (c) => {
      await tripUntilDue(c);
      await probe(c.store);
      for (const [elapsed, seconds] of [[1, 12], [1000, 11], [LEASE - 1001, 2], [LEASE - 1, 1]]) {
        c.clock.at = 1000 + RESET + elapsed!;
        await assertRefused(c, seconds!);
      }
      // Now another instance can claim it. This one waits for its result, which may come late.
      for (const [elapsed, seconds] of [[LEASE, 12], [LEASE + 1, 12], [2 * LEASE - 1, 1]]) {
        c.clock.at = 1000 + RESET + elapsed!;
        await assertRefused(c, seconds!);
      }
      await assertVersion(c, 2);
      c.clock.at = 1000 + RESET + 2 * LEASE;
      assertEquals((await c.store.getState(KEY)).lastStateChange, c.clock.at);
      await assertVersion(c, 3);
    },
  );

  configured("denied requests do not extend a lease", BREAKER, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    const { row } = await lookAt(c);
    for (const tenth of oneTo(99)) {
      c.clock.at = 1000 + RESET + tenth * (LEASE / 100);
      const { probes } = await ask([c.store], 3, c.clock.at);
      assertEquals(probes, 0);
    }
    assertEquals(await c.row(KEY), row, "a denied request wrote");
    c.clock.at = 1000 + RESET + 2 * LEASE;
    assertEquals((await ask([c.store], 3, c.clock.at)).probes, 1);
  });

  configured(
    "each probe of a round has the whole lease",
    { ...BREAKER, halfOpenMax: 2 },
    async (c) => {
      await tripUntilDue(c);
      await probe(c.store);
      c.clock.at += 10_000;
      await probe(c.store);
      c.clock.at += LEASE - 1;
      await assertRefused(c, 1);
      c.clock.at += 1 + LEASE;
      assertEquals((await ask([c.store], 5, c.clock.at)).probes, 2);
      await assertVersion(c, 3);
    },
  );

  for (const [resetTimeoutMs, lease] of [[1000, 10_000], [10_000, 10_000], [30_000, 30_000]]) {
    const options = { resetTimeoutMs };
    configured(`a lease takes ${lease} ms by default for ${resetTimeoutMs}`, options, async (c) => {
      await trip(c.store);
      c.clock.at += resetTimeoutMs!;
      await probe(c.store);
      assertEquals((await c.store.list())[0]!.retryAt, c.clock.at + lease!);
      c.clock.at += 2 * lease! - 1;
      assertEquals((await c.store.getState(KEY)).state, "open");
      c.clock.at += 1;
      await probe(c.store);
    });
  }

  configured("an open circuit is not shut for ever by a clock set back", BREAKER, async (c) => {
    c.clock.at = 10_000_000;
    await trip(c.store);
    c.clock.at -= 1000;
    await assertRefused(c, 31);
    c.clock.at = 10_000_000 - RESET + 1;
    assertEquals((await c.store.getState(KEY)).state, "open");
    c.clock.at = 10_000_000 - RESET;
    await probe(c.store);
  });

  configured("a probe is not waited for longer by a clock set back", BREAKER, async (c) => {
    c.clock.at = 10_000_000;
    await tripUntilDue(c);
    await probe(c.store);
    const started = c.clock.at;
    c.clock.at = started - 1000;
    await assertRefused(c, 13);
    c.clock.at = started - RESET - LEASE + 1;
    assertEquals((await c.store.getState(KEY)).state, "open");
    c.clock.at = started - RESET - LEASE;
    await probe(c.store);
  });
}
