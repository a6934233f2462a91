/** One cached circuit by itself: what it makes of answers in any order, and when it is of use. */

import { assertEquals } from "@std/assert";
import { CachedCircuit } from "../../src/cache/cached_circuit.ts";
import { ABSENT_CIRCUIT, type Circuit, type ForcedState, NO_DETAILS } from "../../src/circuit.ts";

/** The database's clock is this far ahead of the one that measures ages. */
const AHEAD = 1_000_000;

function scene(
  { hasFailureWindow = false, now = false, answerWithinMs = undefined as number | undefined } = {},
) {
  const clock = { at: 0 };
  const read = () => clock.at;
  const cached = new CachedCircuit(
    "a",
    { clock: read, now: now ? () => clock.at : undefined, answerWithinMs },
    hasFailureWindow,
  );
  let order = 0;
  /** Asks now. The answer comes when the returned function is called. */
  const ask = () => {
    const asked = { order: ++order, at: clock.at };
    return (circuit: Circuit | undefined, isWrite = false) =>
      cached.learn({ circuit, asked, order: ++order, isWrite });
  };
  return { cached, clock, ask };
}

function circuit(differing: Partial<Circuit> = {}): Circuit {
  return { ...ABSENT_CIRCUIT, key: "a", version: 1, readAt: AHEAD, ...differing };
}

function forced(differing: Partial<ForcedState> = {}): ForcedState {
  return {
    ...{ state: "closed", at: AHEAD, until: AHEAD + 100, reason: undefined, by: undefined },
    ...differing,
  };
}

Deno.test("CachedCircuit keeps the later of two answers in turn, and the higher version of two that overlap", () => {
  const { cached, ask } = scene();
  ask()(circuit({ version: 5 }));
  ask()(circuit({ version: 3 }));
  assertEquals(cached.version, 3, "it was asked for later");
  const [first, second] = [ask(), ask()];
  second(circuit({ version: 4 }));
  first(circuit({ version: 3 }));
  assertEquals(cached.version, 4);
  const [early, late] = [ask(), ask()];
  late(circuit({ version: 6 }));
  early(circuit({ version: 7 }));
  assertEquals(cached.version, 7);
  assertEquals(cached.askedOrder, 10, "of the later question");
  cached.forget();
  assertEquals([cached.isKnown, cached.version, cached.askedOrder], [false, 0, 0]);
});

Deno.test("CachedCircuit keeps what is highest of two answers of one version that overlap", () => {
  const one = circuit({
    ...{ failureCount: 1, successCount: 8, lastFailureTime: 70, probeCount: 2, probeExpiresAt: 5 },
    details: { ...NO_DETAILS, probeSettled: 2 },
  });
  const other = circuit({
    ...{ failureCount: 3, successCount: 6, lastFailureTime: 60, probeCount: 1, probeExpiresAt: 9 },
    details: { ...NO_DETAILS, probeSettled: 1, resetMs: 7 },
  });
  const merged = {
    ...{ failureCount: 3, successCount: 8, lastFailureTime: 70, probeCount: 1, probeExpiresAt: 9 },
  };
  for (const [earlier, later] of [[one, other], [other, one]] as const) {
    for (const isInOrder of [true, false]) {
      const { cached, ask } = scene();
      const [first, second] = [ask(), ask()];
      if (isInOrder) first(earlier);
      second(later);
      if (!isInOrder) first(earlier);
      const { details, ...counts } = cached.circuit!;
      assertEquals(counts, { ...counts, ...merged });
      assertEquals(details, { ...later.details, probeSettled: 2 });
    }
  }
});

Deno.test("CachedCircuit knows a row of which one of two answers of version 0 says that it is absent", () => {
  for (const hasRowFirst of [true, false]) {
    const { cached, ask } = scene();
    const [first, second] = [ask(), ask()];
    first(hasRowFirst ? circuit({ version: 0 }) : undefined);
    assertEquals(cached.isAbsent, !hasRowFirst);
    second(hasRowFirst ? undefined : circuit({ version: 0 }));
    assertEquals(cached.isAbsent, false);
  }
});

Deno.test("CachedCircuit with a window takes the count of the later answer, unless that may lack an own write", () => {
  const counts = (failureCount: number) => circuit({ failureCount });
  const outcome = (hasFailureWindow: boolean, isWrite: boolean, answersLast: boolean) => {
    const { cached, ask } = scene({ hasFailureWindow });
    const [early, late] = [ask(), ask()];
    if (answersLast) {
      early(counts(3), isWrite);
      late(counts(1));
    } else {
      late(counts(1));
      early(counts(3), isWrite);
    }
    return cached.circuit!.failureCount;
  };
  assertEquals([outcome(true, false, true), outcome(true, false, false)], [1, 1]);
  assertEquals([outcome(true, true, true), outcome(true, true, false)], [3, 3]);
  assertEquals([outcome(false, false, true), outcome(false, false, false)], [3, 3]);
  const { cached, ask } = scene({ hasFailureWindow: true });
  ask()(counts(3), true);
  const [early, late] = [ask(), ask()];
  early(counts(2));
  late(counts(1));
  assertEquals(cached.circuit!.failureCount, 1, "both were asked for after the write");
  const [before, after] = [ask(), ask()];
  before(circuit({ failureCount: 9, version: 2 }), true);
  after(circuit({ failureCount: 4, version: 2 }));
  assertEquals(cached.circuit!.failureCount, 9);
  const [third, fourth, fifth] = [ask(), ask(), ask()];
  third(circuit({ failureCount: 1, version: 3 }));
  fourth(circuit({ failureCount: 9, version: 4 }));
  fifth(circuit({ failureCount: 4, version: 4 }));
  assertEquals(cached.circuit!.failureCount, 4, "nothing was written in this version");
});

Deno.test("CachedCircuit ages from its question, or from the moment as of which all is known", () => {
  const { cached, clock, ask } = scene();
  assertEquals(cached.isFresh(1000, 0, 0), false, "it is unknown");
  clock.at = 500;
  const answer = ask();
  clock.at = 900;
  answer(circuit());
  const isFresh = (now: number, validAt = -Infinity) => cached.isFresh(1000, now, validAt);
  assertEquals([isFresh(500), isFresh(1499), isFresh(1500)], [true, true, false]);
  assertEquals([isFresh(1599, 600), isFresh(1600, 600), isFresh(499)], [true, false, false]);
  assertEquals(isFresh(1599, -Infinity), false);
  // An earlier question whose answer comes later makes it no older.
  const [early, late] = [ask(), (clock.at = 950, ask())];
  late(circuit());
  early(circuit());
  assertEquals([isFresh(1949), isFresh(1950)], [true, false]);
});

Deno.test("CachedCircuit with a window is not kept fresh by the log while it has failures", () => {
  for (
    const [hasFailureWindow, failureCount, expected] of [
      [true, 1, false],
      [true, 0, true],
      [false, 1, true],
    ] as const
  ) {
    const { cached, ask } = scene({ hasFailureWindow });
    ask()(circuit({ failureCount }));
    assertEquals(cached.isFresh(1000, 1000, 900), expected);
  }
  const { cached, ask } = scene({ hasFailureWindow: true });
  ask()(undefined);
  assertEquals(cached.isFresh(1000, 1000, 900), true);
});

Deno.test("CachedCircuit defers successes where it is closed, and not forced at that time", () => {
  const defers = (of: Circuit | undefined, at = 0, now = false) => {
    const { cached, ask } = scene({ now });
    ask()(of);
    const isDeferred = cached.defer(at);
    assertEquals(cached.successes.waiting, isDeferred ? 1 : 0);
    return isDeferred;
  };
  assertEquals([defers(undefined), defers(circuit())], [true, true]);
  assertEquals(defers(circuit({ state: "open" })), false);
  assertEquals(defers(circuit({ state: "half-open" })), false);
  const closed = circuit({ forced: forced() });
  assertEquals([defers(closed, 99), defers(closed, 100)], [false, true]);
  assertEquals([defers(closed, AHEAD + 99, true), defers(closed, AHEAD + 100, true)], [
    false,
    true,
  ]);
  const { cached, ask } = scene();
  ask()(circuit({ version: 4 }));
  cached.defer(0, true);
  assertEquals(cached.successes.take(9), { successes: 1, slow: 1, version: 4 });
});

Deno.test("CachedCircuit shows a force until it ends, and as ended from then on", () => {
  const { cached, clock, ask } = scene();
  ask()(circuit({ version: 3, forced: forced() }));
  const late = ask();
  assertEquals(cached.shown(99)!.readAt, AHEAD + 99);
  clock.at = 100;
  assertEquals(cached.shown(100)!.readAt, AHEAD + 100);
  // With an answer from before the end, it stays ended.
  late(circuit({ version: 3, forced: forced(), readAt: AHEAD }));
  assertEquals(cached.shown(100)!.readAt, AHEAD + 100);
  // The end was moved, with another version.
  ask()(circuit({ version: 4, forced: forced({ until: AHEAD + 200 }), readAt: AHEAD + 20 }));
  assertEquals(cached.shown(100)!.readAt, AHEAD + 20);
  cached.shown(100);
  const early = ask();
  cached.shown(280);
  // The database's clock was set back: by it, the end is out of reach.
  early(circuit({ version: 4, forced: forced({ until: AHEAD + 200 }), readAt: AHEAD - 5000 }));
  assertEquals(cached.shown(100)!.readAt, AHEAD - 5000);
});

Deno.test("CachedCircuit keeps the time of an answer as long as a force was not shown as ended", () => {
  const { cached, clock, ask } = scene();
  ask()(circuit({ version: 3, forced: forced() }));
  const late = ask();
  clock.at = 50;
  assertEquals(cached.shown(50)!.readAt, AHEAD + 50);
  late(circuit({ version: 3, forced: forced(), readAt: AHEAD + 60 }));
  assertEquals(cached.shown(50)!.readAt, AHEAD + 60);
});

Deno.test("CachedCircuit shows what waits of a circuit without a row, and nothing of one without successes", () => {
  const { cached, ask } = scene();
  ask()(undefined);
  assertEquals(cached.shown(0), undefined);
  cached.defer(0);
  assertEquals(cached.shown(0), { ...ABSENT_CIRCUIT, key: "a", successCount: 1 });
  assertEquals(cached.including(circuit({ version: 0, successCount: 2 })).successCount, 3);
});

Deno.test("CachedCircuit says for how long it has been suspect", () => {
  const { cached, ask } = scene();
  assertEquals(cached.suspicionAge(0), Infinity);
  ask()(circuit());
  assertEquals(cached.suspicionAge(0), Infinity);
  ask()(circuit({ details: { ...NO_DETAILS, suspectAt: AHEAD - 50 } }));
  assertEquals([cached.suspicionAge(0), cached.suspicionAge(30)], [50, 80]);
});

Deno.test("CachedCircuit is unsettled where it is not closed, or has been forced", () => {
  const isUnsettled = (of: Circuit | undefined) => {
    const { cached, ask } = scene();
    ask()(of);
    return cached.isUnsettled;
  };
  assertEquals([isUnsettled(undefined), isUnsettled(circuit())], [false, false]);
  assertEquals(isUnsettled(circuit({ state: "open" })), true);
  assertEquals(isUnsettled(circuit({ forced: forced({ until: AHEAD - 1 }) })), true);
});

Deno.test("CachedCircuit can be dropped without a question in flight and without successes that count", () => {
  const { cached, clock, ask } = scene({ answerWithinMs: 500 });
  ask()(undefined);
  assertEquals([cached.isDroppable, cached.isCountable], [true, false]);
  cached.inFlight = 1;
  cached.questionAt = 0;
  clock.at = 500;
  assertEquals(cached.isDroppable, false);
  clock.at = 501; // its request was cancelled
  assertEquals(cached.isDroppable, true);
  cached.inFlight = 0;
  cached.defer(0);
  assertEquals([cached.isDroppable, cached.isCountable], [true, false], "it needs no row");
  for (let interval = 0; interval < 2; interval++) {
    assertEquals(cached.isRegular, false);
    cached.passInterval();
    cached.isFresh(1000, 0, 0);
  }
  assertEquals(cached.isRegular, true);
  assertEquals([cached.isDroppable, cached.isCountable], [false, true]);
  const taken = cached.successes.take(9);
  assertEquals([cached.isDroppable, cached.isCountable], [false, false]);
  cached.successes.wasCounted(taken, 10);
  assertEquals([cached.isDroppable, cached.isCountable], [true, false]);
  const forever = scene().cached;
  forever.inFlight = 1;
  assertEquals(forever.isDroppable, false);
});

Deno.test("CachedCircuit is out of use after more idle intervals where it was in regular use", () => {
  const { cached } = scene();
  const pass = (times: number) => {
    for (let time = 0; time < times; time++) cached.passInterval();
    return cached.isOutOfUse;
  };
  assertEquals([pass(10), pass(1)], [false, true]);
  cached.isFresh(1000, 0, 0);
  assertEquals([pass(60), pass(1)], [false, true]);
});

Deno.test("CachedCircuit ignores a lower version although it was asked for later, but not its count", () => {
  const { cached, ask } = scene();
  const [early, late] = [ask(), ask()];
  early(circuit({ version: 5, successCount: 3 }));
  late(circuit({ version: 4, successCount: 9 }));
  assertEquals([cached.version, cached.shown(0)!.successCount], [5, 9]);
});

Deno.test("CachedCircuit reads its time from the later of two answers that overlap", () => {
  const { cached, clock, ask } = scene();
  const [early, late] = [ask(), ask()];
  late(circuit());
  clock.at = 100;
  early(circuit({ readAt: AHEAD - 50 }));
  assertEquals(cached.shown(100)!.readAt, AHEAD + 100);
});

Deno.test("CachedCircuit keeps an own write in a new version where a read from before its answer lacks it", () => {
  const { cached, ask } = scene({ hasFailureWindow: true });
  const [write, read] = [ask(), ask()];
  read(circuit());
  const overlapping = ask();
  write(circuit({ version: 2, failureCount: 9 }), true);
  overlapping(circuit({ version: 2, failureCount: 4 }));
  assertEquals(cached.circuit!.failureCount, 9);
});

Deno.test("CachedCircuit whose question can still be answered is not droppable", () => {
  const { cached, clock, ask } = scene({ answerWithinMs: 1000 });
  ask()(circuit());
  clock.at = 5000;
  cached.inFlight = 1;
  cached.questionAt = 5000;
  clock.at = 6000;
  assertEquals(cached.isDroppable, false);
  clock.at = 6001;
  assertEquals(cached.isDroppable, true);
});

Deno.test("CachedCircuit drops its successes where it zeroed a closed circuit that had none", () => {
  for (
    const [answered, waiting] of [
      [undefined, 0],
      [circuit({ version: 3, zeroedVersion: 1 }), 0],
      [circuit({ version: 3, zeroedVersion: 1, state: "open" }), 2],
      // The database has zeroed it: what waits is from after that.
      [circuit({ version: 4, zeroedVersion: 4 }), 2],
    ] as const
  ) {
    const { cached, ask } = scene();
    ask()(circuit({ version: 4, zeroedVersion: 1 }));
    cached.defer(0);
    cached.defer(0);
    cached.zeroed(answered, 3, 9);
    assertEquals(cached.successes.waiting, waiting);
  }
});

for (const isWrite of [true, false]) {
  Deno.test(`CachedCircuit: of three answers that overlap ${isWrite ? "an own write" : "the last one"} counts`, () => {
    const { cached, ask } = scene({ hasFailureWindow: true });
    const [first, second, third] = [ask(), ask(), ask()];
    first(circuit({ failureCount: 1 }));
    second(circuit({ failureCount: 9 }), isWrite);
    third(circuit({ failureCount: 4 }));
    assertEquals(cached.circuit!.failureCount, isWrite ? 9 : 4);
  });
}

Deno.test("CachedCircuit keeps the time of an answer from after the end of a force", () => {
  const { cached, clock, ask } = scene();
  ask()(circuit({ version: 3, forced: forced() }));
  const late = ask();
  cached.shown(100);
  clock.at = 300;
  late(circuit({ version: 3, forced: forced(), readAt: AHEAD + 300 }));
  assertEquals(cached.shown(300)!.readAt, AHEAD + 300);
});
