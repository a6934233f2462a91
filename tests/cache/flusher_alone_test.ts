/** A flusher by itself: when it sends, what it waits for, and what is left when it ends. */

import { assertEquals, assertRejects } from "@std/assert";
import { CacheEntries } from "../../src/cache/entries.ts";
import { Flusher } from "../../src/cache/flusher.ts";
import type { Origin } from "../../src/cache/origin.ts";
import { ABSENT_CIRCUIT } from "../../src/circuit.ts";
import { StoreTimeoutError } from "../../src/errors.ts";
import type { FlushResult } from "../../src/ports.ts";
import { Deadlines } from "../../src/time/deadlines.ts";
import { settle, VirtualTimers } from "./model_network.ts";

const DONE: FlushResult = { outcome: "done", leftOver: [] };

/** Timers of a runtime in which one request cannot wait for what another one began. */
class RequestTimers extends VirtualTimers {
  override readonly canJoin: boolean = false;
}

/** A flusher for circuits that have rows. Its statements are answered by `origin`. */
function openFlusher(
  origin: Partial<Origin>,
  keys = ["a"],
  timers = new VirtualTimers(),
  onRead: (entries: CacheEntries) => void = () => {},
) {
  const entries = new CacheEntries({ clock: () => timers.now(), now: undefined }, false, () => {});
  const circuits = keys.map((key) => {
    const question = entries.ask(key);
    entries.learnRead(question.entry!, { ...ABSENT_CIRCUIT, key }, question);
    entries.end(question.entry);
    question.entry!.defer(0);
    return question.entry!;
  });
  const readWhole: string[][] = [];
  const sent: string[] = [];
  const all: Partial<Origin> = {
    register: () => Promise.resolve(),
    flush: () => Promise.resolve(DONE),
    countDeferred: () => Promise.resolve(),
    ...origin,
  };
  const noted = Object.fromEntries(
    Object.entries(all).map(([method, send]) => [
      method,
      (...args: unknown[]) => {
        sent.push(method);
        return (send as (...args: unknown[]) => unknown)(...args);
      },
    ]),
  );
  const deadlines = new Deadlines(1000);
  const flusher = new Flusher({ ...noted, isOut: false } as unknown as Origin, entries, {
    instance: { id: "one", label: "one", boundMs: 1000 },
    countWithinMs: 10_000,
    maxStalenessMs: 1000,
    deadlines,
    timers,
    random: () => 0.5,
    onError: () => {},
    readWhole: (read) => {
      readWhole.push(read.map(({ key }) => key));
      onRead(entries);
      return Promise.resolve();
    },
  });
  return {
    ...{ flusher, timers, entries, circuits, readWhole, sent, deadlines },
    [Symbol.dispose]: () => deadlines.stop(),
  };
}

/** Passes the time in steps until a statement was sent that often. Returns how long it took. */
async function untilSent(
  { timers, sent }: { timers: VirtualTimers; sent: readonly string[] },
  method: string,
  times = 1,
): Promise<number> {
  const from = timers.now();
  for (let step = 0; step < 300; step++) {
    if (sent.filter((each) => each === method).length >= times) return timers.now() - from;
    await timers.advance(50);
  }
  throw new Error(`${method} was not sent ${times} times in 15 s`);
}

Deno.test("Flusher tries again soon where the row of the instance could not be written", async () => {
  let isLost = true;
  using open = openFlusher({
    register: () => isLost ? Promise.reject(new Error("lost")) : Promise.resolve(),
  });
  open.flusher.note();
  assertEquals(await untilSent(open, "register"), 5500);
  isLost = false;
  assertEquals(await untilSent(open, "flush"), 1000, "the bound, less than an eighth of the time");
  assertEquals(open.sent, ["register", "register", "flush"]);
  assertEquals(open.entries.pending, 0);
});

Deno.test("Flusher counts what came to wait while it flushed, without another word", async () => {
  const answered = Promise.withResolvers<FlushResult>();
  let flushes = 0;
  using open = openFlusher({
    flush: () => ++flushes === 1 ? answered.promise : Promise.resolve(DONE),
  });
  open.flusher.note();
  await untilSent(open, "flush");
  open.circuits[0]!.defer(0);
  answered.resolve(DONE);
  await settle();
  assertEquals([open.entries.pending, open.timers.size], [1, 1]);
  assertEquals(await untilSent(open, "flush", 2), 8500);
  assertEquals([open.entries.pending, open.timers.size], [0, 0], "nothing is left to be due");
});

Deno.test("Flusher sends its next piece at once where rows of the one before it were locked", async () => {
  const keys = Array.from({ length: 1001 }, (_, index) => `${index}`);
  let flushes = 0;
  using open = openFlusher({
    flush: () => Promise.resolve(++flushes === 1 ? { outcome: "done", leftOver: ["7"] } : DONE),
  }, keys);
  open.flusher.note();
  await untilSent(open, "flush");
  assertEquals(open.sent, ["register", "flush", "flush"]);
  assertEquals([open.entries.pending, open.readWhole], [1, [["7"]]]);
  assertEquals(await untilSent(open, "flush", 3), 1000);
  assertEquals(open.entries.pending, 0);
});

/** Circuit "b" turns out to have been zeroed by another instance. */
function zero(entries: CacheEntries): void {
  const question = entries.ask("b");
  const zeroed = { ...ABSENT_CIRCUIT, key: "b", version: 3, zeroedVersion: 3 };
  entries.learnRead(question.entry!, zeroed, question);
  entries.end(question.entry);
}

for (const leftOver of [["a", "b"], ["b"]]) {
  const isSome = leftOver.includes("a");
  const title = isSome ? "tries again soon where some" : "rests where none";
  Deno.test(`Flusher ${title} of what is left over counts`, async () => {
    let flushes = 0;
    using open = openFlusher(
      { flush: () => Promise.resolve(++flushes === 1 ? { outcome: "done", leftOver } : DONE) },
      ["a", "b"],
      new VirtualTimers(),
      zero,
    );
    open.flusher.note();
    await untilSent(open, "flush");
    assertEquals([open.entries.pending, open.timers.size], isSome ? [1, 1] : [0, 0]);
    if (isSome) assertEquals(await untilSent(open, "flush", 2), 1000);
  });
}

for (const timers of [new VirtualTimers(), new RequestTimers()]) {
  const { canJoin } = timers;
  Deno.test(`Flusher writes the row of the instance once ${canJoin ? "at a time" : "for each request"}`, async () => {
    const written = Promise.withResolvers<void>();
    using open = openFlusher({ register: () => written.promise }, [], timers);
    const renewed = [open.flusher.renew(), open.flusher.renew()];
    assertEquals(open.sent.length, canJoin ? 1 : 2);
    written.resolve();
    await Promise.all(renewed);
    await open.flusher.renew();
    assertEquals(open.sent.length, canJoin ? 1 : 2);
  });
}

Deno.test("Flusher that ends while rows are left over starts no timer", async () => {
  const answered = Promise.withResolvers<FlushResult>();
  using open = openFlusher({ flush: () => answered.promise });
  open.flusher.note();
  await untilSent(open, "flush");
  const ended = open.flusher.end(open.deadlines.begin());
  answered.resolve({ outcome: "done", leftOver: ["a"] });
  await ended;
  assertEquals([open.timers.size, open.entries.pending], [0, 0]);
  assertEquals(open.sent.at(-1), "countDeferred");
});

Deno.test("Flusher that cannot wait for another request asks what became of its flush", async () => {
  using open = openFlusher(
    {
      flush: () => new Promise<never>(() => {}), // its request was cancelled
      findFlush: () => Promise.resolve(DONE),
    },
    ["a"],
    new RequestTimers(),
  );
  open.flusher.note();
  await untilSent(open, "flush");
  await open.flusher.end(open.deadlines.begin());
  assertEquals(open.sent, ["register", "flush", "findFlush"]);
  assertEquals(open.entries.pending, 0);
});

Deno.test("Flusher says at its end why a flush of unknown fate was not found", async () => {
  using open = openFlusher({
    flush: () => Promise.reject(new Error("lost")),
    findFlush: () => Promise.reject(new StoreTimeoutError("late")),
  });
  open.flusher.note();
  await untilSent(open, "flush");
  await assertRejects(
    () => open.flusher.end(open.deadlines.begin()),
    StoreTimeoutError,
    "Cannot close store: 1 acknowledged successes were not counted: late",
  );
});
