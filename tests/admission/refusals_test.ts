import { assertEquals } from "@std/assert";
import { Refusals } from "../../src/admission/refusals.ts";
import type { RefusedCalls } from "../../src/ports.ts";

/** Refusals on a clock that a test moves, whose statements end when the test says so. */
function scene() {
  const clock = { at: 1000 };
  const sent: { calls: readonly RefusedCalls[]; end(leftOver?: string[]): void; fail(): void }[] =
    [];
  const outage = { isOut: false };
  const refusals = new Refusals({
    isOut: () => outage.isOut,
    count: (calls) => {
      const { promise, resolve, reject } = Promise.withResolvers<string[]>();
      sent.push({
        calls,
        end: (leftOver = []) => resolve(leftOver),
        fail: () => reject(new Error("lost")),
      });
      return promise;
    },
    clock: () => clock.at,
    random: () => 1,
  });
  const refuse = (key: string, times: number, openedAt = 5) => {
    for (let i = 0; i < times; i++) refusals.note({ key, openedAt });
  };
  /** Lets what has ended go on. */
  const settle = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return { clock, sent, outage, refusals, refuse, settle };
}

Deno.test("Refusals sends what was refused in one statement, five seconds after the first", async () => {
  const { clock, sent, refusals, refuse, settle } = scene();
  refusals.onAnswered();
  refuse("a", 2);
  clock.at += 4999;
  refuse("b", 1);
  refusals.onAnswered();
  assertEquals([sent.length, refusals.pending], [0, 3]);
  clock.at += 1;
  refusals.onAnswered();
  refusals.onAnswered();
  assertEquals(sent.map(({ calls }) => calls), [[
    { key: "a", refused: 2, openedAt: 5 },
    { key: "b", refused: 1, openedAt: 5 },
  ]]);
  sent[0]!.end();
  await settle();
  clock.at += 60_000;
  refusals.onAnswered();
  assertEquals([sent.length, refusals.pending], [1, 0]);
});

Deno.test("Refusals counts what was left over again, with what came meanwhile", async () => {
  const { clock, sent, refusals, refuse, settle } = scene();
  refuse("a", 2);
  refuse("b", 1);
  clock.at += 5000;
  refusals.onAnswered();
  refuse("a", 3);
  sent[0]!.end(["a"]);
  await settle();
  clock.at += 4999;
  refusals.onAnswered();
  assertEquals(sent.length, 1);
  clock.at += 1;
  refusals.onAnswered();
  assertEquals(sent[1]!.calls, [{ key: "a", refused: 5, openedAt: 5 }]);
});

Deno.test("Refusals drops what a lost statement took, and goes on", async () => {
  const { clock, sent, refusals, refuse, settle } = scene();
  refuse("a", 2);
  clock.at += 5000;
  refusals.onAnswered();
  sent[0]!.fail();
  await settle();
  refuse("a", 1);
  clock.at += 5000;
  refusals.onAnswered();
  assertEquals(sent[1]!.calls, [{ key: "a", refused: 1, openedAt: 5 }]);
});

Deno.test("Refusals keeps those of the last outage", async () => {
  const { clock, sent, refusals, refuse, settle } = scene();
  refuse("a", 2, 5);
  clock.at += 5000;
  refusals.onAnswered();
  refuse("a", 4, 9);
  // A refusal of the ramp after it has no outage of its own.
  refuse("a", 1, 0);
  sent[0]!.end(["a"]);
  await settle();
  assertEquals(refusals.pending, 5);
  const ended = refusals.end();
  await settle();
  assertEquals(sent[1]!.calls, [{ key: "a", refused: 5, openedAt: 9 }]);
  sent[1]!.end();
  await ended;
});

Deno.test("Refusals drops those of an earlier outage that still wait", async () => {
  const { sent, refusals, refuse, settle } = scene();
  refuse("a", 2, 5);
  refuse("a", 3, 9);
  assertEquals(refusals.pending, 3);
  void refusals.end();
  await settle();
  assertEquals(sent[0]!.calls, [{ key: "a", refused: 3, openedAt: 9 }]);
});

Deno.test("Refusals takes a statement for dead after a time, and counts what came since", () => {
  const clock = { at: 1000 };
  const sent: (readonly RefusedCalls[])[] = [];
  const refusals = new Refusals({
    count: (calls) => {
      sent.push(calls);
      return new Promise(() => {});
    },
    ...{ deadAfterMs: 30_000, clock: () => clock.at, random: () => 0 },
  });
  const refuseAndAsk = (ms: number) => {
    refusals.note({ key: "a", openedAt: 5 });
    clock.at += ms;
    refusals.onAnswered();
    return sent.length;
  };
  assertEquals(refuseAndAsk(2499), 0);
  assertEquals(refuseAndAsk(1), 1);
  assertEquals(refuseAndAsk(29_999), 1);
  assertEquals(refuseAndAsk(1), 2);
  assertEquals(sent.map(([calls]) => calls!.refused), [2, 2]);
});

Deno.test("Refusals goes by performance.now() where it is given no clock", () => {
  const { now } = performance;
  const sent: unknown[] = [];
  const count = (calls: unknown) => (sent.push(calls), Promise.resolve([]));
  let at = 1000;
  performance.now = () => at;
  try {
    const refusals = new Refusals({ count });
    refusals.note({ key: "a", openedAt: 5 });
    for (const ms of [2499, 2501]) {
      refusals.onAnswered();
      assertEquals(sent.length, 0);
      at += ms;
    }
    refusals.onAnswered();
    assertEquals(sent.length, 1);
  } finally {
    performance.now = now;
  }
});

Deno.test("Refusals counts at its end, and nothing from then on", async () => {
  const { clock, sent, refusals, refuse, settle } = scene();
  refuse("a", 2);
  const ended = refusals.end();
  await settle();
  assertEquals(sent.map(({ calls }) => calls[0]!.refused), [2]);
  sent[0]!.fail();
  await ended;
  refuse("a", 1);
  clock.at += 60_000;
  refusals.onAnswered();
  await settle();
  assertEquals(sent.length, 1);
});

Deno.test("Refusals remembers 10,000 circuits, and sends them in pieces", async () => {
  const { sent, refusals, refuse, settle } = scene();
  for (let i = 0; i < 10_001; i++) refuse(`key ${i}`, 1);
  assertEquals(refusals.pending, 10_000);
  const ended = refusals.end();
  for (let piece = 0; piece < 10; piece++) {
    await settle();
    assertEquals([sent.length, sent[piece]!.calls.length], [piece + 1, 1000]);
    sent[piece]!.end();
  }
  await ended;
  assertEquals(sent[0]!.calls[0]!.key, "key 1");
});

Deno.test("Refusals keeps what waits in an outage, whose check is answered before it is over", async () => {
  const { clock, sent, outage, refusals, refuse, settle } = scene();
  refuse("a", 2);
  outage.isOut = true;
  clock.at += 5000;
  refusals.onAnswered();
  await settle();
  assertEquals([sent.length, refusals.pending], [0, 2]);
  outage.isOut = false;
  refusals.onAnswered();
  assertEquals(sent[0]!.calls, [{ key: "a", refused: 2, openedAt: 5 }]);
});

Deno.test("Refusals sends nothing at an end in an outage", async () => {
  const { sent, outage, refusals, refuse } = scene();
  refuse("a", 2);
  outage.isOut = true;
  await refusals.end();
  assertEquals([sent.length, refusals.pending], [0, 2]);
});
