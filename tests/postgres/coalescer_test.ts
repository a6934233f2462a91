import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CircuitBreakerStoreError, StoreTimeoutError } from "../../src/errors.ts";
import { Coalescer, type CoalescerLimits } from "../../src/postgres/coalescer.ts";

interface Answer {
  key: string;
  statement: number;
}

/** A lane whose statements end when the test says so. */
function laneOf(limits: Partial<CoalescerLimits> = {}) {
  const sent: { keys: string[]; end(): void; fail(reason: unknown): void }[] = [];
  const lane = new Coalescer<Answer>((seats) => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer[]>();
    const keys = seats.map(({ key }) => key);
    const statement = sent.length + 1;
    sent.push({
      keys,
      end: () =>
        resolve(keys.filter((key) => key !== "unknown").map((key) => ({ key, statement }))),
      fail: reject,
    });
    return promise;
  }, { statements: 1, keys: 100, waiting: 100, timeoutMs: 60_000, onOutcome: () => {}, ...limits });
  return { lane, sent };
}

Deno.test("Coalescer sends a lone call within the same turn of the event loop", async () => {
  const { lane, sent } = laneOf();
  const { answer } = lane.join("a");
  await Promise.resolve();
  assertEquals(sent.map(({ keys }) => keys), [["a"]]);
  sent[0]!.end();
  assertEquals(await answer, { key: "a", statement: 1 });
});

Deno.test("Coalescer sends calls made in one go as one statement, one seat per key", async () => {
  const { lane, sent } = laneOf();
  const seats = ["a", "b", "a", "a"].map((key) => lane.join(key));
  await Promise.resolve();
  assertEquals(sent.map(({ keys }) => keys), [["a", "b"]]);
  assert(seats[0] === seats[2] && seats[0] !== seats[1]);
  sent[0]!.end();
  assertEquals((await seats[3]!.answer)!.statement, 1);
});

Deno.test("Coalescer gathers calls while a statement is in flight and sends them as the next", async () => {
  const { lane, sent } = laneOf();
  const first = lane.join("a").answer;
  await Promise.resolve();
  const second = lane.join("a").answer;
  const third = lane.join("b").answer;
  await Promise.resolve();
  assertEquals(sent.length, 1);
  sent[0]!.end();
  assertEquals((await first)!.statement, 1);
  assertEquals(sent[1]!.keys, ["a", "b"]);
  sent[1]!.end();
  assertEquals([(await second)!.statement, (await third)!.statement], [2, 2]);
});

Deno.test("Coalescer answers undefined for a key without a row", async () => {
  const { lane, sent } = laneOf();
  const known = lane.join("known").answer;
  const unknown = lane.join("unknown").answer;
  await Promise.resolve();
  sent[0]!.end();
  assertEquals([await known, await unknown], [{ key: "known", statement: 1 }, undefined]);
});

Deno.test("Coalescer keeps to its number of keys per statement and loses none", async () => {
  const { lane, sent } = laneOf({ keys: 2 });
  const answers = ["a", "b", "c", "d", "e"].map((key) => lane.join(key).answer);
  await Promise.resolve();
  for (let i = 0; i < 3; i++) {
    sent[i]!.end();
    await answers[Math.min(i * 2 + 1, 4)];
  }
  assertEquals(sent.map(({ keys }) => keys), [["a", "b"], ["c", "d"], ["e"]]);
});

Deno.test("Coalescer keeps to its number of statements in flight", async () => {
  const { lane, sent } = laneOf({ statements: 2, keys: 1 });
  const answers = ["a", "b", "c"].map((key) => lane.join(key).answer);
  await Promise.resolve();
  assertEquals(sent.map(({ keys }) => keys), [["a"], ["b"]]);
  sent[1]!.end();
  await answers[1];
  assertEquals(sent.map(({ keys }) => keys), [["a"], ["b"], ["c"]]);
  sent[0]!.end();
  sent[2]!.end();
  await Promise.all(answers);
});

Deno.test("Coalescer gives a failure to everyone in the statement, and to nobody in the next", async () => {
  const { lane, sent } = laneOf();
  const failing = [lane.join("a").answer, lane.join("b").answer];
  await Promise.resolve();
  const next = lane.join("a").answer;
  const reason = new Error("gone");
  sent[0]!.fail(reason);
  for (const answer of failing) {
    assertEquals(await answer.then(() => undefined, (error) => error), reason);
  }
  sent[1]!.end();
  assertEquals((await next)!.statement, 2);
});

Deno.test("Coalescer refuses calls beyond what may wait, and takes them again once some were answered", async () => {
  const { lane, sent } = laneOf({ waiting: 3 });
  const answers = ["a", "a", "b"].map((key) => lane.join(key).answer);
  assertThrows(() => lane.join("c"), CircuitBreakerStoreError, "3 calls already wait");
  await Promise.resolve();
  sent[0]!.end();
  await Promise.all(answers);
  await Promise.resolve();
  const late = lane.join("c").answer;
  await Promise.resolve();
  sent[1]!.fail(new Error("gone"));
  await assertRejects(() => late, Error, "gone");
  const again = ["a", "b", "c"].map((key) => lane.join(key).answer);
  await Promise.resolve();
  sent[2]!.end();
  await Promise.all(again);
});

Deno.test("Coalescer gives up on a statement that hangs, and its late answer changes nothing", async () => {
  const outcomes: unknown[] = [];
  const { lane, sent } = laneOf({ timeoutMs: 30, onOutcome: (error) => outcomes.push(error) });
  const hanging = lane.join("a").answer;
  await Promise.resolve();
  const waiting = lane.join("a").answer;
  await assertRejects(() => hanging, StoreTimeoutError, "no answer in 30 ms");
  // The lane is free again: what gathered behind it went its own way or gave up as well.
  await waiting.catch((error) => assert(error instanceof StoreTimeoutError));
  assert(outcomes.every((outcome) => outcome instanceof StoreTimeoutError));
  sent[0]!.end();
  const next = lane.join("b").answer;
  await Promise.resolve();
  sent.at(-1)!.end();
  assertEquals((await next)!.key, "b");
});

Deno.test("Coalescer tells of a failure once, and not of one that nobody waited for", async () => {
  const outcomes: unknown[] = [];
  const { lane, sent } = laneOf({ timeoutMs: 20, onOutcome: (error) => outcomes.push(error) });
  const answers = ["a", "b", "a"].map((key) => lane.join(key).answer);
  await Promise.resolve();
  sent[0]!.fail(new Error("gone"));
  for (const answer of answers) await assertRejects(() => answer, Error, "gone");
  assertEquals(outcomes.length, 1);
  const late = lane.join("a").answer;
  await assertRejects(() => late, StoreTimeoutError);
  sent[1]!.fail(new Error("late"));
  await Promise.resolve();
  assertEquals(outcomes.length, 2);
});
