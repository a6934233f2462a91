/** How many circuits are cached, and what is dropped. */

import { assert, assertEquals } from "@std/assert";
import { CacheEntries } from "../../src/cache/entries.ts";
import { ABSENT_CIRCUIT } from "../../src/circuit.ts";

const CAPACITY = 10_000;

function openEntries() {
  const uses: boolean[] = [];
  const clock = () => 0;
  const entries = new CacheEntries(
    { clock, now: undefined },
    false,
    (isInUse) => uses.push(isInUse),
  );
  const learn = (key: string, hasRow = true) => {
    const question = entries.ask(key);
    const { entry } = question;
    if (entry) entries.learnRead(entry, hasRow ? { ...ABSENT_CIRCUIT, key } : undefined, question);
    entries.end(entry);
    return entry;
  };
  return { entries, uses, learn };
}

Deno.test("CacheEntries holds ten thousand circuits, and keeps those in use", () => {
  const { entries, learn } = openEntries();
  learn("hot");
  for (let index = 0; index < 3 * CAPACITY; index++) {
    learn(`${index}`);
    if (index % 50 === 0) {
      entries.passInterval();
      for (const entry of entries.all()) if (entry.key !== "hot") entry.idle = 1;
      entries.get("hot")!.isFresh(1000, 0, 0);
    }
  }
  assert(entries.size <= CAPACITY, `${entries.size} circuits`);
  assert(entries.get("hot") !== undefined);
});

Deno.test("CacheEntries drops no question in flight and no success that counts", () => {
  const { entries, learn } = openEntries();
  for (let index = 0; index < CAPACITY / 2; index++) learn(`waits ${index}`)!.defer(0);
  for (let index = 0; index < CAPACITY / 2; index++) entries.ask(`in flight ${index}`);
  for (let index = 0; index < 1000; index++) {
    assertEquals(learn(`more ${index}`), undefined, "there is no room");
  }
  assertEquals([entries.size, entries.pending], [CAPACITY, CAPACITY / 2]);
});

Deno.test("CacheEntries makes room by a circuit that is not in use, or by one that is not in regular use", () => {
  const { entries, learn } = openEntries();
  const regular = Array.from({ length: 3 }, (_, index) => learn(`regular ${index}`)!);
  for (let time = 0; time < 2; time++) {
    entries.passInterval();
    for (const entry of regular) entry.isFresh(1000, 0, 0);
  }
  for (let index = 3; index < CAPACITY; index++) learn(`${index}`);
  // None is idle: the last one that it examined and that is not in regular use goes.
  learn("new");
  assertEquals(entries.size, CAPACITY);
  for (const entry of regular) assertEquals(entries.get(entry.key), entry);
  const idle = entries.all()[5]!;
  idle.idle = 1;
  const others = entries.all().filter((entry) => entry !== idle);
  learn("newer");
  assertEquals(entries.get(idle.key), undefined);
  for (const entry of others) assertEquals(entries.get(entry.key), entry);
});

Deno.test("CacheEntries makes room by the last one that is not in regular use", () => {
  const { entries, learn } = openEntries();
  for (let index = 0; index < CAPACITY; index++) learn(`${index}`);
  const [first, second, ...regular] = entries.all();
  for (let time = 0; time < 2; time++) {
    entries.passInterval();
    for (const entry of regular) entry.isFresh(1000, 0, 0);
  }
  first!.idle = second!.idle = 0;
  learn("new");
  assertEquals([entries.get(first!.key), entries.get(second!.key)], [first, undefined]);
});

Deno.test("CacheEntries drops one of those in regular use where all are", () => {
  const { entries, learn } = openEntries();
  for (let index = 0; index < CAPACITY; index++) learn(`${index}`);
  for (let time = 0; time < 2; time++) {
    entries.passInterval();
    for (const entry of entries.all()) entry.isFresh(1000, 0, 0);
  }
  assertEquals(learn("new") !== undefined, true);
  assertEquals([entries.size, entries.get("new")!.key], [CAPACITY, "new"]);
});

Deno.test("CacheEntries lets a flood of keys without rows push out nothing but itself", () => {
  const { entries, learn } = openEntries();
  for (let index = 0; index < 100; index++) learn(`waits ${index}`)!.defer(0);
  for (let index = 0; index < 2 * CAPACITY; index++) learn(`flood ${index}`, false)!.defer(0);
  assertEquals(entries.size, CAPACITY);
  for (let index = 0; index < 100; index++) {
    assertEquals(entries.get(`waits ${index}`)!.successes.waiting, 1);
  }
  for (let interval = 0; interval < 11; interval++) entries.passInterval();
  assertEquals([entries.size, entries.countable().length], [100, 100]);
});

Deno.test("CacheEntries drops a circuit after ten idle intervals, one in regular use after sixty", () => {
  const { entries, learn, uses } = openEntries();
  learn("once");
  const regular = learn("regular")!;
  entries.passInterval();
  regular.isFresh(1000, 0, 0);
  for (let interval = 0; interval < 9; interval++) entries.passInterval();
  assertEquals(entries.size, 2);
  entries.passInterval();
  assertEquals(entries.all(), [regular]);
  for (let interval = 10; interval < 60; interval++) entries.passInterval();
  assertEquals(entries.all(), [regular]);
  entries.passInterval();
  assertEquals([entries.size, uses], [0, [true, false]]);
});

Deno.test("CacheEntries keeps no entry of a question that failed", () => {
  const { entries } = openEntries();
  const { entry } = entries.ask("a");
  assertEquals(entries.size, 1);
  entries.end(entry);
  assertEquals(entries.size, 0);
});

Deno.test("CacheEntries keeps the entry of two questions until both have ended", () => {
  const { entries } = openEntries();
  const [one, other] = [entries.ask("a"), entries.ask("a")];
  entries.end(one.entry);
  assertEquals(entries.all(), [other.entry!]);
  entries.end(other.entry);
  assertEquals(entries.size, 0);
});

Deno.test("CacheEntries forgets a circuit, and keeps its entry for a question in flight or what waits", () => {
  const { entries, learn } = openEntries();
  const [asked, waiting, idle] = ["asked", "waiting", "idle"].map((key) => learn(key)!);
  const { entry } = entries.ask("asked");
  waiting!.defer(0);
  for (const each of [asked!, waiting!, idle!]) entries.forget(each);
  assertEquals(entries.all(), [asked!, waiting!]);
  assertEquals([asked!.isKnown, waiting!.isKnown], [false, false]);
  entries.end(entry);
  assertEquals(entries.all(), [waiting!]);
});

Deno.test("CacheEntries keeps an unknown circuit whose successes wait", () => {
  const { entries, learn } = openEntries();
  const entry = learn("a")!;
  entry.defer(0);
  entries.forget(entry);
  entries.end(entries.ask("a").entry);
  assertEquals([entries.size, entries.pending, entry.isKnown], [1, 1, false]);
});

Deno.test("CacheEntries forgets a circuit that a write from before a fence has changed", () => {
  const { entries, learn } = openEntries();
  const write = entries.ask("a");
  entries.forgetAll(true);
  const entry = learn("a")!;
  assertEquals(entry.isKnown, true);
  entries.learnWritten(entry, { ...ABSENT_CIRCUIT, key: "a" }, write);
  assertEquals(entry.isKnown, false, "what was read since may lack it");
});

for (const isWrite of [true, false]) {
  Deno.test(`CacheEntries: a read that overlaps ${isWrite ? "an own write can lack it" : "the log can be newer"}`, () => {
    const entries = new CacheEntries({ clock: () => 0, now: undefined }, true, () => {});
    const counted = (failureCount: number) => ({ ...ABSENT_CIRCUIT, key: "a", failureCount });
    const first = entries.ask("a");
    const read = entries.ask("a");
    if (isWrite) entries.learnWritten(first.entry!, counted(9), first);
    else entries.learnLogged("a", counted(9), first);
    entries.learnRead(read.entry!, counted(4), read);
    assertEquals(read.entry!.circuit!.failureCount, isWrite ? 9 : 4);
  });
}

Deno.test("CacheEntries has room for a circuit where it dropped an idle one", () => {
  const { entries, learn } = openEntries();
  for (let index = 0; index < CAPACITY; index++) learn(`${index}`);
  entries.passInterval();
  assert(learn("new") !== undefined);
  assertEquals([entries.size, entries.get("0")], [CAPACITY, undefined]);
});

Deno.test("CacheEntries: after a break the counts are those of another server", () => {
  for (const hasCounts of [true, false]) {
    const { entries } = openEntries();
    const read = (successCount: number) => {
      const question = entries.ask("a");
      const found = { ...ABSENT_CIRCUIT, key: "a", successCount };
      entries.learnRead(question.entry!, found, question);
      return question.entry!.shown(0)!.successCount;
    };
    assertEquals(read(9), 9);
    entries.ask("a"); // in flight, so that it stays
    entries.forgetAll(hasCounts);
    assertEquals(read(4), hasCounts ? 9 : 4);
  }
});

Deno.test("CacheEntries: a page of the log from before a circuit has an entry is not kept for it", () => {
  const { entries } = openEntries();
  const page = entries.askAny();
  const question = entries.ask("a");
  entries.learnLogged("a", { ...ABSENT_CIRCUIT, key: "a", version: 5 }, page);
  assertEquals(question.entry!.isKnown, false, "another entry may have known it in a newer form");
  // An answer to what is in flight can be older still.
  assertEquals(entries.learnRead(question.entry!, undefined, question), false);
});
