/** What a watch asks the log for, and what it makes of the answers, which these tests give by hand. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SchemaError, StoreUnavailableError } from "../../src/errors.ts";
import { decodeCursor, encodeCursor } from "../../src/feed/cursor.ts";
import { Watches, type WatchSource } from "../../src/feed/watch.ts";
import type { CircuitChange, WatchBreak, WatchOptions } from "../../src/operator_types.ts";
import type { LoggedChange } from "../../src/ports.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
import { cursorAt, ManualTiming, opened, ScriptedLog, settled } from "./scripted_log.ts";

/** The database's clock is 5 s behind the caller's. */
const BEHIND = 5000;
const OVER = { done: true, value: undefined } as const;

/** Watches on a scripted log. */
class Stage extends ScriptedLog {
  readonly timing = new ManualTiming();
  readonly listeners = new Set<() => void>();
  readonly watches: Watches;

  constructor(other: Partial<WatchSource> = {}) {
    super();
    this.watches = new Watches({
      log: this,
      feed: {
        canListen: true,
        subscribe: (listener) => {
          this.listeners.add(listener);
          return () => this.listeners.delete(listener);
        },
      },
      clock: { toCaller: (time) => time + BEHIND },
      begin: () => IMMEDIATE_CALL,
      maxStalenessMs: 1e9,
      timing: this.timing,
      ...other,
    });
  }

  announce(): void {
    for (const listener of this.listeners) listener();
  }

  /** A watch that has begun, at this version of the log, and has read all that there was. */
  async begin(options: WatchOptions = {}, version = 0): Promise<AsyncIterator<CircuitChange>> {
    const changes = this.watches.begin(options);
    await this.answer({ cursor: cursorAt(version) });
    await this.answer();
    await this.answer({ cursor: cursorAt(version) });
    return changes;
  }

  /** An announcement, once looks are allowed again, and what the look finds. */
  async announceAnd(...changes: LoggedChange[]): Promise<void> {
    await this.timing.pass(20);
    this.announce();
    await this.answer({ changes });
  }
}

/** The versions of the next changes. */
async function versions(changes: AsyncIterator<CircuitChange>, count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) found.push((await changes.next()).value.version);
  return found;
}

Deno.test("watch begins with the moment of its first look, and reads what happened since the call", async () => {
  const stage = new Stage();
  const changes = stage.watches.begin({});
  const none = { after: undefined, until: undefined, afterVersion: undefined };
  const rest = { key: undefined, hasRounds: false };
  assertEquals(stage.requests, [{ ...none, ...rest, since: undefined, limit: 0 }]);
  // The answer is held for 300 ms. Then the database's clock is at 10,000, or up to 300 ms later.
  await stage.timing.pass(300.4);
  await stage.answer({ cursor: cursorAt(7), readAt: 10_000 });
  assertEquals(stage.last, {
    ...none,
    ...rest,
    until: cursorAt(7),
    since: 9699,
    limit: 1000,
  });
  await stage.answer({ changes: [opened(5, { at: 9800 }), opened(7, { at: 9700 })] });
  assertEquals(stage.last, { ...none, ...rest, after: cursorAt(7), since: undefined, limit: 1000 });
  await stage.answer({ changes: [opened(6, { at: 9000 }), opened(8)] });
  assertEquals(await versions(changes, 4), [5, 7, 6, 8]);
  assertEquals(stage.requests.length, 3);
  stage.watches.end();
});

Deno.test("watch that begins in an outage reads what happened since the call", async () => {
  const stage = new Stage({ maxStalenessMs: 100 });
  const changes = stage.watches.begin({});
  await stage.timing.pass(250);
  await stage.fail(new StoreUnavailableError("Cannot read changes: away"));
  await stage.timing.pass(50);
  assertEquals(stage.requests.length, 2);
  await stage.answer({ cursor: cursorAt(7), readAt: 10_000 });
  assertEquals(stage.last.since, 9700);
  // Failing here loses nothing either.
  await stage.fail(new StoreUnavailableError("Cannot read changes: away"));
  await stage.timing.pass(100);
  assertEquals([stage.last.since, stage.last.until], [9700, cursorAt(7)]);
  await stage.answer({ changes: [opened(7)] });
  assertEquals(await versions(changes, 1), [7]);
  stage.watches.end();
});

Deno.test("watch leaves out what the process knew when it began, and only then", async () => {
  const known = new Map([["a", 4], ["b", 5]]);
  const stage = new Stage({ known: () => new Map(known) });
  const changes = stage.watches.begin({});
  known.set("a", 6);
  await stage.answer({ cursor: cursorAt(6) });
  await stage.answer({
    changes: [
      opened(4, { key: "a" }),
      opened(5, { key: "b" }),
      opened(5.5, { key: "c" }),
      opened(6, { key: "a" }),
    ],
  });
  // What was not visible then is new, whatever its version: it committed late.
  await stage.answer({ changes: [opened(3, { key: "b" })] });
  assertEquals(await versions(changes, 3), [5.5, 6, 3]);
  stage.watches.end();
});

Deno.test("watch asks the caller's clock what is new where that one decides", async () => {
  for (
    const [called, answered, since] of [[2000.7, 2000, 2000], [2000, 9000, 2000], [
      2000,
      1000,
      1000,
    ]]
  ) {
    const stage = new Stage({ now: () => called! });
    stage.watches.begin({});
    await stage.timing.pass(500);
    await stage.answer({ readAt: answered! });
    assertEquals(stage.last.since, since);
    stage.watches.end();
  }
});

Deno.test("watch of a log that answers at once begins there", async () => {
  const stage = new Stage({ isImmediate: true });
  stage.watches.begin({});
  await stage.answer({ cursor: cursorAt(7) });
  assertEquals([stage.last.after, stage.last.until, stage.last.since], [
    cursorAt(7),
    undefined,
    undefined,
  ]);
  stage.watches.end();
});

Deno.test("watch reads full pages to the moment of the first, and goes on from there", async () => {
  const stage = new Stage();
  const changes = await stage.begin({}, 5);
  const page = (from: number) => Array.from({ length: 1000 }, (_, i) => opened(from + i));
  await stage.timing.pass(20);
  stage.announce();
  await stage.answer({ changes: page(6), cursor: cursorAt(5000) });
  const { after, until, afterVersion } = stage.last;
  assertEquals([after, until, afterVersion], [cursorAt(5), cursorAt(5000), 1005]);
  await stage.answer({ changes: page(1006), cursor: cursorAt(6000) });
  assertEquals([stage.last.until, stage.last.afterVersion], [cursorAt(5000), 2005]);
  await stage.answer({ changes: [opened(2006)], cursor: cursorAt(7000) });
  assertEquals([stage.last.after, stage.last.until], [cursorAt(5000), undefined]);
  await stage.answer({ cursor: cursorAt(7000) });
  assertEquals(await versions(changes, 2001), Array.from({ length: 2001 }, (_, i) => 6 + i));
  stage.watches.end();
});

Deno.test("watch shows a change with its place, from which another watch goes on", async () => {
  const stage = new Stage();
  const changes = await stage.begin({}, 5);
  await stage.timing.pass(20);
  stage.announce();
  const reason = "deploying";
  const row = opened(7, { key: "api", cause: "force", actor: "ops", reason });
  await stage.answer({ changes: [row, opened(9)], cursor: cursorAt(20) });
  const { value } = await changes.next();
  const { cursor, ...shown } = value;
  assertEquals(shown, {
    key: "api",
    storedKey: "api",
    from: "closed",
    to: "open",
    version: 7,
    at: 7 + BEHIND,
    cause: "force",
    actor: "ops",
    role: "app",
    reason,
    failureCount: 5,
    successCount: 0,
  });
  const place = decodeCursor("watch circuits", cursor);
  assertEquals(place, { from: cursorAt(5), to: cursorAt(20), version: 7 });

  const other = stage.watches.begin({ after: cursor });
  const { after, until, afterVersion, since } = stage.last;
  assertEquals([after, until, afterVersion, since], [cursorAt(5), cursorAt(20), 7, undefined]);
  await stage.answer({ changes: [opened(9)] });
  assertEquals([stage.last.after, stage.last.until], [cursorAt(20), undefined]);
  await stage.answer({ changes: [opened(8)] });
  assertEquals(await versions(other, 2), [9, 8]);
  stage.watches.end();
});

Deno.test("watch hides rounds, unless they are asked for, and whatever changes no state", async () => {
  const rows = [
    opened(1, { from: "half-open", to: "half-open", cause: "round" }),
    opened(2, { from: "closed", to: "closed", cause: "zeroed" }),
    opened(3, { from: "closed", to: "closed", cause: "suspect" }),
    opened(4, { from: "open", to: "open", cause: "force" }),
    opened(5, { from: "open", to: "open", cause: "release" }),
    opened(6),
  ];
  for (const [rounds, shown] of [[false, [6]], [true, [1, 6]]] as [boolean, number[]][]) {
    const stage = new Stage();
    const changes = await stage.begin({ rounds });
    assertEquals(stage.last.hasRounds, rounds);
    await stage.announceAnd(...rows);
    assertEquals(await versions(changes, shown.length), shown);
    stage.watches.end();
  }
});

Deno.test("watch reports a break once, and goes on with what the log returns", async () => {
  const breaks: WatchBreak[] = [];
  const onBreak = (event: WatchBreak) => {
    breaks.push(event);
    throw new Error("a listener's mistake");
  };
  const stage = new Stage();
  const changes = await stage.begin({ onBreak }, 5);
  await stage.timing.pass(20);
  stage.announce();
  const page = Array.from({ length: 1000 }, (_, i) => opened(6 + i));
  const anew = { isBreak: true, readAt: 12_000 };
  await stage.answer({ ...anew, changes: page, cursor: cursorAt(2000, "run.2") });
  await stage.answer({ ...anew, changes: [opened(1006)], cursor: cursorAt(2000, "run.2") });
  assertEquals(breaks.length, 1);
  assertEquals(breaks[0]!.at, 12_000 + BEHIND);
  assert(/restarted or restored/.test(breaks[0]!.reason), breaks[0]!.reason);
  await stage.answer({ cursor: cursorAt(2000, "run.2") });
  assertEquals(await versions(changes, 1001), Array.from({ length: 1001 }, (_, i) => 6 + i));

  // Retention of the same log. An `async` listener may fail as well.
  await stage.timing.pass(20);
  stage.announce();
  await stage.answer({ ...anew, changes: [opened(3000)], cursor: cursorAt(3000, "run.2") });
  assertEquals(breaks.length, 2);
  assert(/no longer holds/.test(breaks[1]!.reason), breaks[1]!.reason);
  assertEquals(await versions(changes, 1), [3000]);
  stage.watches.end();
});

Deno.test("watch from a cursor of another run reports one break", async () => {
  const breaks: WatchBreak[] = [];
  const onBreak = (event: WatchBreak) => Promise.reject(breaks.push(event));
  const after = encodeCursor({ from: cursorAt(3), to: cursorAt(9), version: 5 });
  const stage = new Stage();
  const changes = stage.watches.begin({ after, onBreak });
  const anew = { isBreak: true, cursor: cursorAt(20, "run.2") };
  await stage.answer({ ...anew, changes: [opened(7)] });
  await stage.answer({ ...anew, changes: [opened(20)] });
  assertEquals([breaks.length, stage.requests.length], [1, 2]);
  assertEquals(await versions(changes, 2), [7, 20]);
  stage.watches.end();
});

Deno.test("watch that is ended by its onBreak delivers nothing more", async () => {
  const controller = new AbortController();
  const stage = new Stage();
  const { signal } = controller;
  const changes = await stage.begin({ signal, onBreak: () => controller.abort() });
  await stage.timing.pass(20);
  stage.announce();
  await stage.answer({ isBreak: true, changes: [opened(1)] });
  assertEquals(await changes.next(), OVER);
});

Deno.test("watch that was ended while it looked reports no break", async () => {
  const stage = new Stage();
  const breaks: WatchBreak[] = [];
  const changes = await stage.begin({ onBreak: (found) => void breaks.push(found) });
  await stage.timing.pass(20);
  stage.announce();
  stage.watches.end();
  await stage.answer({ isBreak: true, changes: [opened(1)] });
  assertEquals([await changes.next(), breaks], [OVER, []]);
});

Deno.test("watch that finds full pages since its call goes by time and by what is known until their end", async () => {
  const stage = new Stage({ known: () => new Map([["circuit 1500", 1500]]) });
  const changes = stage.watches.begin({});
  await stage.answer({ cursor: cursorAt(2000), readAt: 9000 });
  const { since } = stage.last;
  assertEquals(since, 9000);
  const page = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => opened(from + i));
  await stage.answer({ changes: page(1, 1000), cursor: cursorAt(2000) });
  assertEquals([stage.last.since, stage.last.afterVersion], [since, 1000]);
  await stage.answer({ changes: page(1001, 600), cursor: cursorAt(2000) });
  assertEquals([stage.last.since, stage.last.after], [undefined, cursorAt(2000)]);
  const found = await versions(changes, 1599);
  assert(!found.includes(1500) && found.at(-1) === 1600, `${found.at(-1)}`);
  stage.watches.end();
});

Deno.test("watch looks once at a time, and once more for all that was announced meanwhile", async () => {
  const stage = new Stage();
  const changes = stage.watches.begin({});
  for (let i = 0; i < 1000; i++) stage.announce();
  for (const request of [1, 2, 3]) {
    assertEquals(stage.requests.length, request);
    await stage.answer();
  }
  await stage.timing.pass(20);
  assertEquals(stage.requests.length, 4);
  await stage.answer({ changes: [opened(1)] });
  await stage.timing.pass(10_000);
  assertEquals(stage.requests.length, 4);
  assertEquals(await versions(changes, 1), [1]);
  stage.announce();
  assertEquals(stage.requests.length, 5);
  stage.watches.end();
});

Deno.test("watch stops reading while a slow consumer has 10,000 changes to go", async () => {
  const stage = new Stage({ maxStalenessMs: 100 });
  const changes = await stage.begin();
  await stage.timing.pass(100);
  for (let page = 0; page < 10; page++) {
    const rows = Array.from({ length: 1000 }, (_, i) => opened(page * 1000 + i + 1));
    await stage.answer({ changes: rows, cursor: cursorAt(50_000) });
  }
  const asked = stage.requests.length;
  assertEquals(asked, 3 + 10);
  for (let i = 0; i < 1000; i++) stage.announce();
  await stage.timing.pass(100_000);
  assertEquals((await versions(changes, 9999)).at(-1), 9999);
  await stage.timing.pass(100_000);
  assertEquals(stage.requests.length, asked);
  assertEquals(await versions(changes, 1), [10_000]);
  assertEquals(stage.requests.length, asked + 1);
  assertEquals(stage.last.afterVersion, 10_000);
  stage.watches.end();
});

Deno.test("watch goes on after an outage from where it was", async () => {
  const stage = new Stage({ maxStalenessMs: 100 });
  const changes = await stage.begin({}, 5);
  for (const error of [new StoreUnavailableError("away"), new SchemaError("gone for a moment")]) {
    await stage.timing.pass(100);
    await stage.fail(error);
  }
  await stage.timing.pass(100);
  assertEquals(stage.last.after, cursorAt(5));
  await stage.answer({ changes: [opened(6)] });
  assertEquals(await versions(changes, 1), [6]);
  stage.watches.end();
});

Deno.test("watch reports a first look that cannot succeed, once, and is over", async () => {
  for (const asksBefore of [true, false]) {
    const stage = new Stage();
    const changes = stage.watches.begin({});
    const asked = asksBefore ? assertRejects(() => changes.next(), SchemaError) : undefined;
    const second = asksBefore ? changes.next() : undefined;
    await stage.fail(new SchemaError("Cannot read changes: no table"));
    await (asked ?? assertRejects(() => changes.next(), SchemaError));
    assertEquals(await (second ?? changes.next()), OVER);
    assertEquals([stage.listeners.size, stage.timing.timers], [0, 0]);
  }
});

Deno.test("watch ends in every way, leaves nothing behind and answers all pending calls", async () => {
  const ways: ((
    stage: Stage,
    changes: AsyncIterator<unknown>,
    controller: AbortController,
  ) => unknown)[] = [
    (_stage, _changes, controller) => controller.abort(),
    (_stage, changes) => changes.return!(),
    (stage) => stage.watches.end(),
  ];
  for (const end of ways) {
    for (const looksEnded of [0, 1, 2, 3]) {
      const stage = new Stage({ maxStalenessMs: 5 });
      const controller = new AbortController();
      const changes = stage.watches.begin({ signal: controller.signal });
      const waiting = [changes.next(), changes.next()];
      for (let i = 0; i < looksEnded; i++) await stage.answer();
      const asked = stage.requests.length;
      await end(stage, changes, controller);
      assertEquals(await Promise.all(waiting), [OVER, OVER]);
      assertEquals([stage.listeners.size, stage.timing.timers], [0, 0]);
      await stage.answer({ changes: [opened(1)] });
      await stage.timing.pass(1000);
      assertEquals([await changes.next(), await changes.return!()], [OVER, OVER]);
      assertEquals(stage.requests.length, asked);
    }
  }
});

Deno.test("watch with an aborted signal, or of an ended store, does nothing at all", async () => {
  const stage = new Stage();
  const aborted = stage.watches.begin({ signal: AbortSignal.abort() });
  stage.watches.end();
  const late = stage.watches.begin({});
  for (const changes of [aborted, late]) assertEquals(await changes.next(), OVER);
  assertEquals([stage.requests.length, stage.listeners.size], [0, 0]);
});

Deno.test("watch removes its listener from a signal that lives on", async () => {
  const stage = new Stage();
  const listeners: unknown[] = [];
  const signal = {
    aborted: false,
    addEventListener: (...given: unknown[]) => void listeners.push(...given),
    removeEventListener: (...given: unknown[]) => void listeners.push(...given),
  };
  const changes = stage.watches.begin({ signal });
  void changes.return!();
  const [event, listener, ...removed] = listeners;
  assertEquals([event, typeof listener], ["abort", "function"]);
  assert(removed.length === 2 && removed[0] === event && removed[1] === listener);
  assertEquals(stage.requests.length, 1);
  await settled();
});

Deno.test("watch refuses a cursor that is none, and asks nothing", () => {
  const stage = new Stage();
  assertThrows(
    () => stage.watches.begin({ after: "latest" }),
    RangeError,
    "Cannot watch circuits: ",
  );
  assertEquals([stage.requests.length, stage.listeners.size], [0, 0]);
});
