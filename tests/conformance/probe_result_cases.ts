/** The effects of probe results, and of transitions that are no probe's result. */

import { assertEquals } from "@std/assert";
import {
  ask,
  assertMovesNothing,
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
import { oneTo, snapshot, type Suite } from "./session.ts";

export function probeResultTests(suite: Suite): void {
  resultTests(suite);
  manualTests(suite);
}

function resultTests({ configured }: Suite): void {
  configured("a probe's success closes the circuit", BREAKER, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    c.clock.at += 500;
    const closed = snapshot({ lastFailureTime: 1000, lastStateChange: c.clock.at });
    assertEquals(await report(c.store, "success"), closed);
    assertEquals(await c.store.getState(KEY), closed);
    const { row } = await lookAt(c);
    if (row) assertEquals([row.version, row.probeCount, row.probeExpiresAt], [3, 0, 0]);
  });

  configured(
    "a probe's failure opens the circuit for another resetTimeoutMs",
    BREAKER,
    async (c) => {
      await tripUntilDue(c);
      await probe(c.store);
      c.clock.at += 500;
      const { state, failureCount, lastStateChange } = await report(c.store, "failure");
      assertEquals([state, failureCount, lastStateChange], ["open", 4, c.clock.at]);
      const { row } = await lookAt(c);
      if (row) assertEquals([row.version, row.probeCount, row.probeExpiresAt], [3, 0, 0]);
      await assertRefused(c, 30);
      c.clock.at += RESET - 1;
      await assertRefused(c, 1);
      c.clock.at += 1;
      await probe(c.store);
    },
  );

  configured("rounds follow each other, two versions each", BREAKER, async (c) => {
    await trip(c.store);
    for (const round of oneTo(10)) {
      c.clock.at += RESET;
      assertEquals((await ask([c.store], 4, c.clock.at)).probes, 1);
      await report(c.store, "failure");
      await assertVersion(c, 1 + 2 * round);
    }
    c.clock.at += RESET;
    await probe(c.store);
    await report(c.store, "success");
    await trip(c.store);
    await assertVersion(c, 24);
    await assertRefused(c, 30);
  });

  const three = { ...BREAKER, halfOpenMax: 3 };
  for (const first of ["success", "failure"] as const) {
    for (const second of ["success", "failure"] as const) {
      configured(`after a ${first} a ${second} of its round moves nothing`, three, async (c) => {
        await tripUntilDue(c);
        for (const _ of oneTo(3)) await probe(c.store);
        await report(c.store, first);
        c.clock.at += 100;
        await assertMovesNothing(c, async () => {
          await report(c.store, second);
          await report(c.store, second);
        });
        await assertState(c, first === "success" ? "closed" : "open");
      });
    }
  }

  configured(
    "a late failure opens a closed circuit that has reached its threshold",
    three,
    async (c) => {
      await tripUntilDue(c);
      for (const _ of oneTo(3)) await probe(c.store);
      await report(c.store, "success");
      for (const _ of oneTo(2)) await c.store.recordFailure(KEY);
      // It is the third failure in all, so the circuit opens at any instance's report.
      assertEquals((await report(c.store, "failure")).state, "open");
      await assertVersion(c, 4);
    },
  );

  for (const result of ["success", "failure"] as const) {
    configured(`a ${result} of a probe after reset() moves nothing`, BREAKER, async (c) => {
      await tripUntilDue(c);
      await probe(c.store);
      await c.store.reset(KEY);
      await c.store.transition(KEY, result === "success" ? "closed" : "open");
      assertEquals(await c.store.list(), []);
      assertEquals(await c.store.getState(KEY), snapshot({}));
    });
  }
}

function manualTests({ configured }: Suite): void {
  configured(
    "a straggler's open moves neither an open nor a half-open circuit",
    BREAKER,
    async (c) => {
      await trip(c.store);
      c.clock.at += 100;
      await assertMovesNothing(c, () => c.store.transition(KEY, "open"));
      await c.store.transition(KEY, "half-open");
      c.clock.at += 100;
      await assertMovesNothing(c, () => c.store.transition(KEY, "open"));
      await assertMovesNothing(c, () => c.store.transition(KEY, "half-open"));
      await assertState(c, "half-open");
    },
  );

  configured("transition() closes by hand, open or half-open", BREAKER, async (c) => {
    for (const states of [["open"], ["open", "half-open"]] as const) {
      for (const state of states) await c.store.transition(KEY, state);
      c.clock.at += 100;
      const closed = snapshot({ lastStateChange: c.clock.at });
      assertEquals(await c.store.transition(KEY, "closed"), closed);
      assertEquals(await c.store.getState(KEY), closed);
      await assertMovesNothing(c, () => c.store.transition(KEY, "closed"));
    }
    await assertVersion(c, 5);
  });

  for (const halfOpenMax of [1, 3]) {
    for (const from of ["closed", "open"] as const) {
      const name = `transition() to half-open from ${from} takes one slot of ${halfOpenMax}`;
      configured(name, { ...BREAKER, halfOpenMax }, async (c) => {
        if (from === "open") await trip(c.store);
        const version = from === "open" ? 2 : 1;
        assertEquals((await c.store.transition(KEY, "half-open")).lastStateChange, c.clock.at);
        await assertVersion(c, version);
        assertEquals((await ask([c.store], 6, c.clock.at)).probes, halfOpenMax - 1);
        await assertVersion(c, version);
        // Where it has claimed probes itself, it waits for one more lease.
        c.clock.at += 2 * LEASE;
        assertEquals((await ask([c.store], 6, c.clock.at)).probes, halfOpenMax);
        await assertVersion(c, version + 1);
      });
    }
  }

  const plain = { failureThreshold: 3, halfOpenMax: 1 };
  configured("without resetTimeoutMs no probe is admitted or counted", plain, async (c) => {
    await trip(c.store);
    const opened = await c.store.peek(KEY);
    for (const at of [1000, 31_000, 10_000_000]) {
      c.clock.at = at;
      assertEquals(await Promise.all(oneTo(3).map(() => c.store.getState(KEY))), [
        opened,
        opened,
        opened,
      ]);
    }
    const probing = await c.store.transition(KEY, "half-open");
    for (const _ of oneTo(3)) assertEquals(await c.store.getState(KEY), probing);
    c.clock.at += 1;
    assertEquals((await c.store.transition(KEY, "open")).lastStateChange, c.clock.at);
    assertEquals((await c.store.transition(KEY, "half-open")).state, "half-open");
    assertEquals((await c.store.transition(KEY, "closed")).state, "closed");
    await assertVersion(c, 5);
  });
}
