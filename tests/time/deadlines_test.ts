import { assert, assertEquals, assertRejects } from "@std/assert";
import { StoreTimeoutError } from "../../src/errors.ts";
import { Deadlines, type Expiring, withDeadline } from "../../src/time/deadlines.ts";
import { randomOf } from "../support/random.ts";

const NEVER = new Promise<never>(() => {});

/** Something pending that notes its error, and how often its deadline was looked at. */
class Entry implements Expiring {
  readonly action = "read circuit";
  extendedMs = 0;
  isSettled = false;
  looks = 0;
  readonly expired: Promise<StoreTimeoutError>;
  readonly #deadlines: Deadlines;
  readonly #end = Promise.withResolvers<StoreTimeoutError>();
  #dueAt: number;

  constructor(deadlines: Deadlines, dueAt: number) {
    this.#deadlines = deadlines;
    this.#dueAt = dueAt;
    this.expired = this.#end.promise;
    deadlines.add(this, performance.now());
  }

  get dueAt(): number {
    this.looks++;
    return this.#dueAt;
  }

  set dueAt(dueAt: number) {
    this.#dueAt = dueAt;
  }

  settle(): void {
    this.isSettled = true;
    this.#deadlines.settled();
  }

  expire(error: StoreTimeoutError): void {
    this.settle();
    this.#end.resolve(error);
  }
}

/** Blocks the event loop. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Resolves after all timers that are due. */
function afterTimers(ms = 0): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test("Deadlines ends a call at its deadline with an error that says what was done", async () => {
  const deadlines = new Deadlines(60);
  const call = deadlines.begin();
  assert(Math.abs(call.dueAt - call.beganAt - 60) < 1e-6);
  const error = await assertRejects(
    () => deadlines.race(call, "read circuit", NEVER),
    StoreTimeoutError,
  );
  assertEquals(error.message, "Cannot read circuit: no answer in 60 ms");
  assert(performance.now() >= call.dueAt - 1);
});

Deno.test("Deadlines passes on what work in time becomes, and ignores what late work becomes", async () => {
  const deadlines = new Deadlines(60_000);
  assertEquals(await deadlines.race(deadlines.begin(), "read", Promise.resolve(7)), 7);
  const failing = Promise.reject(new TypeError("broken"));
  await assertRejects(() => deadlines.race(deadlines.begin(), "read", failing), TypeError);
  const late = Promise.withResolvers<number>();
  const past = { beganAt: 0, dueAt: performance.now() };
  await assertRejects(() => deadlines.race(past, "read", late.promise), StoreTimeoutError);
  late.reject(new Error("late"));
  await afterTimers();
});

Deno.test("Deadlines ends entries in the order of their deadlines, however they were added", async () => {
  const deadlines = new Deadlines(10_000);
  const now = performance.now();
  const ended: number[] = [];
  const entries = [60, 20, 40, 80, 30, 50].map((ms) => {
    const entry = new Entry(deadlines, now + ms);
    void entry.expired.then(() => ended.push(ms));
    return entry;
  });
  entries[5]!.settle();
  await Promise.all(entries.slice(0, 5).map(({ expired }) => expired));
  assertEquals(ended, [20, 30, 40, 60, 80]);
});

Deno.test("Deadlines gives entries with one action and one deadline the same error", async () => {
  const deadlines = new Deadlines(10_000);
  const now = performance.now();
  const entries = [0, 0, 0].map(() => new Entry(deadlines, now));
  const errors = await Promise.all(entries.map(({ expired }) => expired));
  assertEquals(new Set(errors).size, 1);
});

Deno.test("Deadlines reads an answer that is there before it gives up", async () => {
  const deadlines = new Deadlines(100);
  const call = deadlines.begin();
  const { promise, resolve } = Promise.withResolvers<string>();
  const answer = deadlines.race(call, "read circuit", promise);
  // Both timers are overdue after the block. That of the deadline fires first.
  setTimeout(() => block(12), 93);
  setTimeout(() => resolve("answer"), 102);
  assertEquals(await answer, "answer");
});

for (const order of ["rising", "falling", "random"] as const) {
  Deno.test(`Deadlines looks few times at thousands of entries with ${order} deadlines`, () => {
    const random = randomOf(1);
    const deadlines = new Deadlines(1e9);
    const now = performance.now() + 1e9;
    const count = 8192;
    const entries = Array.from({ length: count }, (_, i) => {
      const offset = order === "rising" ? i : order === "falling" ? -i : random() * count;
      return new Entry(deadlines, now + offset);
    });
    for (const entry of entries) entry.settle();
    const looks = entries.reduce((sum, each) => sum + each.looks, 0);
    // A search in a sorted list of 8192 entries takes 13 looks; a linear search takes 4096 on average.
    assert(looks <= count * 32, `${looks / count} looks at each`);
    deadlines.stop();
  });
}

Deno.test("Deadlines ends thousands of entries at once without looking at each many times", async () => {
  const deadlines = new Deadlines(10_000);
  const now = performance.now() + 20;
  const count = 8192;
  const entries = Array.from({ length: count }, () => new Entry(deadlines, now));
  await Promise.all(entries.map(({ expired }) => expired));
  const looks = entries.reduce((sum, each) => sum + each.looks, 0);
  assert(looks <= count * 32, `${looks / count} looks at each`);
});

Deno.test("Deadlines moves on by the time that the event loop was blocked", async () => {
  const deadlines = new Deadlines(400);
  const { dueAt } = deadlines.begin();
  const entry = new Entry(deadlines, dueAt);
  const from = performance.now();
  block(250);
  await afterTimers();
  const passed = performance.now() - from;
  // Hold-ups are looked for each 100 ms, so that as much can be missed.
  assert(entry.extendedMs >= 149 && entry.extendedMs <= passed, `${entry.extendedMs} ms`);
  assertEquals(entry.dueAt, dueAt + entry.extendedMs);
  await entry.expired;
  assert(performance.now() >= dueAt + 149);
});

Deno.test("Deadlines leaves an entry time after a block, and timeoutMs at most", async () => {
  const deadlines = new Deadlines(100);
  const entry = new Entry(deadlines, deadlines.begin().dueAt);
  // Longer than the call has twice over: it could not read an answer in all that time.
  for (const _ of [1, 2, 3]) {
    block(400);
    const unblocked = performance.now();
    await afterTimers();
    assert(entry.dueAt > unblocked, `due ${unblocked - entry.dueAt} ms before`);
    assert(entry.dueAt <= performance.now() + 100, `due in ${entry.dueAt - unblocked} ms`);
  }
  assertEquals((await entry.expired).message, "Cannot read circuit: no answer in 100 ms");
});

Deno.test("Deadlines of calls that began after a block, or that have none, do not move on by it", async () => {
  const deadlines = new Deadlines(1000);
  const before = new Entry(deadlines, deadlines.begin().dueAt);
  const unbounded = new Entry(deadlines, Infinity);
  block(600);
  const after = new Entry(deadlines, deadlines.begin().dueAt);
  await afterTimers();
  assert(before.extendedMs >= 349, `${before.extendedMs} ms`);
  assert(after.extendedMs < 100, `${after.extendedMs} ms`);
  assertEquals([unbounded.extendedMs, unbounded.dueAt], [0, Infinity]);
  for (const entry of [before, after, unbounded]) entry.settle();
});

Deno.test("Deadlines knows that the process was held up, at once and later, and since when", async () => {
  const deadlines = new Deadlines(100);
  const before = performance.now();
  const entry = new Entry(deadlines, deadlines.begin().dueAt);
  block(150);
  assert(deadlines.wasHeldUpSince(before));
  await afterTimers();
  assert(deadlines.wasHeldUpSince(before));
  const after = performance.now();
  assert(!deadlines.wasHeldUpSince(after));
  await entry.expired;
  assert(deadlines.wasHeldUpSince(before));
});

Deno.test("Deadlines knows of a hold-up when a driver's timer fires first and ends all that is pending", async () => {
  const deadlines = new Deadlines(200);
  const { promise, reject } = Promise.withResolvers<never>();
  const began = performance.now();
  const work = deadlines.race(deadlines.begin(), "read circuit", promise);
  setTimeout(() => reject(new Error("driver timeout")), 10);
  block(250);
  const wasHeldUp = await work.catch(() => deadlines.wasHeldUpSince(began));
  assert(wasHeldUp);
});

Deno.test("Deadlines finds no hold-up where there was none", async () => {
  const deadlines = new Deadlines(20_000);
  const began = performance.now();
  assert(!deadlines.wasHeldUpSince(began));
  const entry = new Entry(deadlines, performance.now() + 20);
  await entry.expired;
  assert(!deadlines.wasHeldUpSince(began));
  assertEquals(entry.extendedMs < 10_000, true);
});

Deno.test("Deadlines that was stopped ends nothing", async () => {
  const deadlines = new Deadlines(20);
  const entry = new Entry(deadlines, deadlines.begin().dueAt);
  deadlines.stop();
  await afterTimers(40);
  assert(!entry.isSettled);
});

Deno.test("Deadlines that was stopped while it waited for the last answers ends nothing", async () => {
  const deadlines = new Deadlines(100);
  const entry = new Entry(deadlines, deadlines.begin().dueAt);
  setTimeout(() => block(12), 93);
  await afterTimers(102);
  deadlines.stop();
  await afterTimers(20);
  assert(!entry.isSettled);
});

Deno.test("withDeadline passes on what work in time becomes, and ends what takes too long", async () => {
  assertEquals(await withDeadline(60_000, "check store", Promise.resolve(7)), 7);
  const error = await assertRejects(
    () => withDeadline(20, "check store", NEVER),
    StoreTimeoutError,
  );
  assertEquals(error.message, "Cannot check store: no answer in 20 ms");
});
