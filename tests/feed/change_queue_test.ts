import { assertEquals, assertRejects } from "@std/assert";
import { ChangeQueue } from "../../src/feed/change_queue.ts";
import type { CircuitChange } from "../../src/operator_types.ts";

const OVER: IteratorResult<CircuitChange> = { done: true, value: undefined };

function change(version: number): CircuitChange {
  return { key: "api", version } as CircuitChange;
}

Deno.test("ChangeQueue gives changes in their order, to calls that wait and to later ones", async () => {
  const queue = new ChangeQueue();
  const waiting = [queue.next(), queue.next()];
  for (const version of [1, 2, 3, 4]) queue.push(change(version));
  assertEquals(queue.isEmpty, false);
  waiting.push(queue.next(), queue.next());
  const given = await Promise.all(waiting);
  assertEquals(given, [1, 2, 3, 4].map((version) => ({ done: false, value: change(version) })));
  assertEquals(queue.isEmpty, true);
});

Deno.test("ChangeQueue is full from 10,000 changes on", async () => {
  const queue = new ChangeQueue();
  for (let version = 1; version < 10_000; version++) queue.push(change(version));
  assertEquals(queue.isFull, false);
  queue.push(change(10_000));
  assertEquals(queue.isFull, true);
  await queue.next();
  assertEquals(queue.isFull, false);
});

Deno.test("ChangeQueue gives a failure to one call, and is over for all others", async () => {
  const reason = new Error("no table");
  const waiting = new ChangeQueue();
  const calls = [waiting.next(), waiting.next()];
  waiting.fail(reason);
  await assertRejects(() => calls[0]!, Error, "no table");
  assertEquals([await calls[1], await waiting.next()], [OVER, OVER]);

  const later = new ChangeQueue();
  later.push(change(1));
  later.fail(reason);
  later.fail(new Error("another"));
  later.push(change(2));
  assertEquals(later.isEmpty, true);
  await assertRejects(() => later.next(), Error, "no table");
  assertEquals(await later.next(), OVER);
});

Deno.test("ChangeQueue that has ended drops what waits and what comes, also a failure", async () => {
  const queue = new ChangeQueue();
  queue.push(change(1));
  queue.end();
  queue.push(change(2));
  queue.fail(new Error("late"));
  assertEquals([queue.isEmpty, queue.isFull], [true, false]);
  assertEquals([await queue.next(), await queue.next()], [OVER, OVER]);
});
