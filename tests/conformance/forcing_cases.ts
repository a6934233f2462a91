/** forceOpen, forceClosed and release: a force holds for every instance until it ends. */

import { assertEquals, assertMatch } from "@std/assert";
import type { ActOptions, ForceOptions } from "../../mod.ts";
import {
  assertMovesNothing,
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
import {
  failureOf,
  FRESH,
  LABEL,
  listing,
  oneTo,
  snapshot,
  STATES,
  type Suite,
} from "./session.ts";

export function forcingTests(suite: Suite): void {
  stateTests(suite);
  endTests(suite);
  fleetForceTests(suite);
  forceArgumentTests(suite);
}

function stateTests({ configured }: Suite): void {
  configured("forceOpen() opens a circuit never seen, and says why", BREAKER, async (c) => {
    const expected = snapshot({ state: "open", lastStateChange: 1000 });
    assertEquals(await c.store.forceOpen(KEY, { reason: "deploying", forMs: 500 }), expected);
    assertEquals(await c.store.peek(KEY), expected);
    const forced = { state: "open", since: 1000, until: 1500, reason: "deploying" } as const;
    const listed = listing(KEY, {
      snapshot: expected,
      version: 1,
      retryAt: 1500,
      forced: { ...forced, by: LABEL },
      cause: "force",
      actor: LABEL,
      reason: "deploying",
    });
    assertEquals(await c.store.list(), [listed]);
    assertEquals(await c.store.list({ state: "open" }), [listed]);
    assertEquals(await c.store.list({ state: "closed" }), []);
    await assertVersion(c, 1);
  });

  configured("forceOpen() refuses every request, however long ago", BREAKER, async (c) => {
    await c.store.forceOpen(KEY);
    for (const at of [1000, 1001, 1000 + RESET, 50_000_000]) {
      c.clock.at = at;
      await assertRefused(c, 30);
    }
  });

  configured("forceOpen() for a while names the time that is left", BREAKER, async (c) => {
    await c.store.forceOpen(KEY, { forMs: 100_000 });
    for (const [elapsed, seconds] of [[0, 100], [1, 100], [1000, 99], [RESET, 70], [99_999, 1]]) {
      c.clock.at = 1000 + elapsed!;
      await assertRefused(c, seconds!);
    }
  });

  configured("forceOpen() refuses where the policy alone admits probes, too", {}, async (c) => {
    await c.store.forceOpen(KEY);
    for (const at of [1000, 1000 + RESET, 50_000_000]) {
      c.clock.at = at;
      const { state, lastStateChange } = await c.store.getState(KEY);
      assertEquals([state, lastStateChange], ["open", at]);
    }
    await c.store.release(KEY);
    assertEquals(await c.store.getState(KEY), FRESH);
  });

  configured("forceClosed() lets everything through a circuit that is open", BREAKER, async (c) => {
    await trip(c.store);
    c.clock.at = 2000;
    const expected = snapshot({ failureCount: 3, lastFailureTime: 1000, lastStateChange: 2000 });
    assertEquals(await c.store.forceClosed(KEY), expected);
    assertEquals(await c.store.getState(KEY), expected);
    assertEquals((await c.store.list({ state: "closed" })).map((each) => each.forced), [
      { state: "closed", since: 2000, by: LABEL },
    ]);
    assertEquals(await c.store.list({ state: "open" }), []);
  });

  for (const force of ["forceOpen", "forceClosed"] as const) {
    for (const beneath of STATES) {
      configured(
        `${force}() beats every transition of a circuit ${beneath}`,
        BREAKER,
        async (c) => {
          if (beneath !== "closed") await c.store.transition(KEY, beneath);
          await c.store[force](KEY);
          c.clock.at += 10 * RESET;
          await assertMovesNothing(c, async () => {
            for (const to of STATES) await c.store.transition(KEY, to);
            await c.store.getState(KEY);
          });
          await c.store.release(KEY);
          await assertState(c, beneath);
        },
      );
    }
  }

  configured("a forced circuit counts, and opens only once it is released", BREAKER, async (c) => {
    await c.store.forceClosed(KEY);
    for (const count of oneTo(5)) {
      assertEquals((await c.store.recordFailure(KEY)).failureCount, count);
      assertEquals((await c.store.transition(KEY, "open")).state, "closed");
    }
    assertEquals((await c.store.recordSuccess(KEY)).successCount, 1);
    await c.store.release(KEY);
    await c.store.recordFailure(KEY);
    assertEquals((await c.store.transition(KEY, "open")).state, "open");
  });

  configured("what was forced last is in force, one version each", BREAKER, async (c) => {
    await c.store.forceOpen(KEY, { reason: "first", forMs: 100 });
    c.clock.at = 1050;
    await c.store.forceClosed(KEY);
    assertEquals((await c.store.list())[0]!.forced, { state: "closed", since: 1050, by: LABEL });
    c.clock.at = 5000;
    await assertState(c, "closed");
    await c.store.forceOpen(KEY);
    await c.store.forceOpen(KEY);
    await assertVersion(c, 4);
  });
}

function endTests({ configured }: Suite): void {
  configured(
    "a force ends by itself at its time, with a version for what ended",
    BREAKER,
    async (c) => {
      await trip(c.store);
      await c.store.forceClosed(KEY, { forMs: 5000 });
      c.clock.at = 5999;
      assertEquals((await c.store.getState(KEY)).state, "closed");
      c.clock.at = 6000;
      await assertRefused(c, 25);
      assertEquals((await c.store.peek(KEY)).lastStateChange, 1000);
      const [listed] = await c.store.list({ state: "open" });
      assertEquals([listed?.key, listed?.forced], [KEY, undefined]);
      await assertVersion(c, 3);
      await c.store.release(KEY);
      await assertVersion(c, 3);
    },
  );

  configured("a circuit that was due before it was forced is due after it", BREAKER, async (c) => {
    await tripUntilDue(c);
    await c.store.forceOpen(KEY, { forMs: 10 });
    await assertRefused(c, 1);
    c.clock.at += 10;
    await probe(c.store);
    await report(c.store, "success");
    await assertState(c, "closed");
  });

  configured("forMs is rounded up to a whole millisecond", BREAKER, async (c) => {
    await c.store.forceClosed(KEY, { forMs: 0.5 });
    assertEquals((await c.store.list())[0]!.forced?.until, 1001);
  });

  configured("release() of what is not forced changes nothing", BREAKER, async (c) => {
    assertEquals(await c.store.release(KEY), FRESH);
    assertEquals(await c.store.list(), []);
    await trip(c.store);
    c.clock.at = 2000;
    const before = await c.store.peek(KEY);
    await assertMovesNothing(c, async () => assertEquals(await c.store.release(KEY), before));
  });

  configured("release() takes one version and returns what lies beneath", BREAKER, async (c) => {
    await trip(c.store);
    const beneath = await c.store.peek(KEY);
    c.clock.at = 2000;
    await c.store.forceClosed(KEY);
    c.clock.at = 3000;
    assertEquals(await c.store.release(KEY), beneath);
    const open = { openedAt: 1000, retryAt: 1000 + RESET } as const;
    assertEquals(
      (await c.store.list())[0],
      listing(KEY, { snapshot: beneath, version: 3, ...open, cause: "release", actor: LABEL }),
    );
    await assertVersion(c, 3);
    await assertRefused(c, 28);
  });

  configured("reset() ends a force with the circuit", BREAKER, async (c) => {
    await c.store.forceOpen(KEY);
    await c.store.reset(KEY);
    assertEquals(await c.store.getState(KEY), FRESH);
    assertEquals(await c.store.list(), []);
  });

  configured("a round that was forced away ends with its lease", BREAKER, async (c) => {
    await tripUntilDue(c);
    await probe(c.store);
    c.clock.at += 1000;
    await c.store.forceOpen(KEY);
    await assertMovesNothing(c, () => report(c.store, "success"));
    await c.store.release(KEY);
    await assertRefused(c, LEASE / 1000 - 1);
    c.clock.at += LEASE - 1000;
    await probe(c.store);
  });
}

function fleetForceTests({ fleet }: Suite): void {
  fleet("a force holds for every instance, also those that start later", BREAKER, async (f) => {
    const other = f.another();
    await f.store.forceOpen(KEY, { reason: "down" });
    for (const store of [other, f.another()]) await assertRefused({ ...f, store }, 30);
    const plain = f.another({ resetTimeoutMs: undefined, probeTimeoutMs: undefined });
    assertEquals((await plain.getState(KEY)).state, "open");
    assertEquals((await other.list())[0]!.forced?.reason, "down");
    await other.release(KEY);
    assertEquals((await f.store.getState(KEY)).state, "closed");
  });

  fleet("a release and a force at once leave one of the two", BREAKER, async (f) => {
    const other = f.another();
    for (const _ of oneTo(10)) {
      await f.store.forceOpen(KEY);
      const { version } = (await f.row(KEY))!;
      await Promise.all([f.store.release(KEY), other.forceClosed(KEY)]);
      await assertState(f, "closed");
      const steps = (await f.row(KEY))!.version - version;
      assertEquals(steps, 2);
      await f.store.release(KEY);
    }
  });
}

function forceArgumentTests({ configured }: Suite): void {
  configured("reasons of any kind are kept for people", BREAKER, async (c) => {
    const reasons = ["", "x".repeat(1000), "é 😀 'quoted\" \\ {a,b} null", "line\nline"];
    for (const reason of reasons) {
      await c.store.forceOpen(KEY, { reason });
      assertEquals((await c.store.list())[0]!.forced?.reason, reason);
    }
    await c.store.forceOpen(KEY, { reason: "a\0b\ud800c", actor: "d\0e\udc00f" });
    const { forced } = (await c.store.list())[0]!;
    assertEquals([forced?.reason, forced?.by], ["a\ufffdb\ufffdc", "d\ufffde\ufffdf"]);
  });

  const wrong: [type: typeof TypeError | typeof RangeError, options: unknown][] = [
    [TypeError, null],
    [TypeError, "because"],
    [TypeError, { forms: 1000 }],
    [TypeError, { reason: 42 }],
    [TypeError, { reason: null }],
    [TypeError, { forMs: "1000" }],
    [TypeError, { forMs: null }],
    [TypeError, { forMs: 10n }],
    [TypeError, { actor: 42 }],
    [TypeError, { actor: null }],
    [TypeError, { Actor: "ops" }],
    [RangeError, { reason: "x".repeat(1001) }],
    [RangeError, { actor: "" }],
    [RangeError, { actor: "x".repeat(201) }],
    ...[0, -1, NaN, Infinity, 1e16].map((forMs) =>
      [RangeError, { forMs }] as [
        typeof RangeError,
        unknown,
      ]
    ),
  ];
  configured("forceOpen() and forceClosed() refuse wrong options", BREAKER, async (c) => {
    for (const force of ["forceOpen", "forceClosed"] as const) {
      for (const [type, options] of wrong) {
        const error = await failureOf(() => c.store[force](KEY, options as ForceOptions));
        assertEquals((error as Error).name, type.name, String(error));
        assertMatch(
          (error as Error).message,
          /^Cannot force circuit: .+, received .+/s,
        );
      }
      const error = await failureOf(() => c.store[force](42 as unknown as string));
      assertEquals((error as Error).name, "TypeError");
    }
    const error = await failureOf(() => c.store.release(null as unknown as string));
    assertEquals((error as Error).name, "TypeError");
    assertEquals(await c.store.list(), []);
  });

  configured("release() and reset() refuse wrong options, and do nothing", BREAKER, async (c) => {
    await c.store.forceOpen(KEY);
    for (const call of ["release", "reset"] as const) {
      for (const [type, options] of wrong) {
        if (
          options !== null && typeof options === "object" &&
          /^forms$/i.test(Object.keys(options)[0]!)
        ) {
          continue;
        }
        const error = await failureOf(() => c.store[call](KEY, options as ActOptions));
        assertEquals((error as Error).name, type.name, String(error));
        assertMatch((error as Error).message, /^Cannot (release|reset) circuit: .+, received .+/s);
      }
    }
    await assertState(c, "open");
  });
}
