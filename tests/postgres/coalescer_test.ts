import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { StoreOverloadError, StoreTimeoutError } from "../../src/errors.ts";
import type { StatementEvent } from "../../src/ports.ts";
import { Coalescer, type CoalescerOptions } from "../../src/postgres/coalescer.ts";
import type { Demand } from "../../src/postgres/executor.ts";
import { Deadlines } from "../../src/time/deadlines.ts";

interface Answer {
  key: string;
  statement: number;
}

interface SentStatement {
  keys: string[];
  demand: Demand;
  end(): void;
  fail(reason: unknown): void;
}

/** A coalescer whose statements end when the test says so. */
class Stage implements Disposable {
  readonly sent: SentStatement[] = [];
  readonly events: StatementEvent[] = [];
  readonly coalescer: Coalescer<Answer>;
  readonly deadlines: Deadlines;

  constructor(options: Partial<CoalescerOptions> & { timeoutMs?: number } = {}) {
    const { timeoutMs = 60_000, ...limits } = options;
    this.deadlines = new Deadlines(timeoutMs);
    this.coalescer = new Coalescer<Answer>((pending, demand) => {
      const { promise, resolve, reject } = Promise.withResolvers<Answer[]>();
      const keys = pending.map(({ key }) => key);
      const statement = this.sent.length + 1;
      const rows = keys.filter((key) => key !== "absent").map((key) => ({ key, statement }));
      this.sent.push({ keys, demand, end: () => resolve(rows), fail: reject });
      return promise;
    }, {
      kind: "read",
      action: "read circuit",
      keys: 100,
      waiting: 100,
      deadlines: this.deadlines,
      onStatement: (event) => this.events.push(event),
      ...limits,
    });
  }

  join(key: string) {
    return this.coalescer.join(this.deadlines.begin(), key);
  }

  get sentKeys(): string[][] {
    return this.sent.map(({ keys }) => keys);
  }

  [Symbol.dispose](): void {
    this.deadlines.stop();
  }
}

Deno.test("Coalescer sends a single call within the same run of the event loop", async () => {
  using stage = new Stage();
  const { answer } = stage.join("a");
  await Promise.resolve();
  assertEquals(stage.sentKeys, [["a"]]);
  stage.sent[0]!.end();
  assertEquals(await answer, { key: "a", statement: 1 });
});

Deno.test("Coalescer sends calls of one run of the event loop as one statement, each key once", async () => {
  using stage = new Stage();
  const pending = ["a", "b", "a", "a"].map((key) => stage.join(key));
  await Promise.resolve();
  assertEquals(stage.sentKeys, [["a", "b"]]);
  assert(pending[0] === pending[2] && pending[0] !== pending[1]);
  assertEquals([pending[0]!.calls, pending[1]!.calls], [3, 1]);
  stage.sent[0]!.end();
  assertEquals((await pending[3]!.answer)!.statement, 1);
  const [{ keys, calls, rows }] = stage.events as [StatementEvent];
  assertEquals([keys, calls, rows], [2, 4, 2]);
});

Deno.test("Coalescer gathers calls while a statement is in flight and sends them as the next", async () => {
  using stage = new Stage();
  const first = stage.join("a").answer;
  await Promise.resolve();
  const second = stage.join("a").answer;
  const third = stage.join("b").answer;
  await Promise.resolve();
  assertEquals(stage.sent.length, 1);
  stage.sent[0]!.end();
  assertEquals((await first)!.statement, 1);
  assertEquals(stage.sent[1]!.keys, ["a", "b"]);
  stage.sent[1]!.end();
  assertEquals([(await second)!.statement, (await third)!.statement], [2, 2]);
});

Deno.test("Coalescer answers undefined for a key without a row", async () => {
  using stage = new Stage();
  const present = stage.join("present").answer;
  const absent = stage.join("absent").answer;
  await Promise.resolve();
  stage.sent[0]!.end();
  assertEquals([await present, await absent], [{ key: "present", statement: 1 }, undefined]);
  const again = stage.join("absent").answer;
  await Promise.resolve();
  assertEquals(stage.sentKeys, [["present", "absent"], ["absent"]]);
  stage.sent[1]!.end();
  assertEquals(await again, undefined);
});

Deno.test("Coalescer keeps to its number of keys per statement and loses none", async () => {
  using stage = new Stage({ keys: 2 });
  const answers = ["a", "b", "c", "d", "e"].map((key) => stage.join(key).answer);
  await Promise.resolve();
  for (let i = 0; i < 3; i++) {
    stage.sent[i]!.end();
    await answers[Math.min(i * 2 + 1, 4)];
    assertEquals(stage.sent.length, Math.min(i + 2, 3), "one statement at a time");
  }
  assertEquals(stage.sentKeys, [["a", "b"], ["c", "d"], ["e"]]);
});

Deno.test("Coalescer sends a key again whose call came after the statement with it was sent", async () => {
  using stage = new Stage({ keys: 2 });
  const answers = ["a", "b", "c"].map((key) => stage.join(key).answer);
  await Promise.resolve();
  answers.push(stage.join("a").answer);
  for (let i = 0; i < 2; i++) {
    stage.sent[i]!.end();
    await answers[2 * i];
  }
  assertEquals(stage.sentKeys, [["a", "b"], ["c", "a"]]);
  assertEquals((await answers[3])!.statement, 2);
});

Deno.test("Coalescer ignores a row of a key that it did not send", async () => {
  const rows = Promise.resolve(["b", "foreign", "a"].map((key) => ({ key, statement: 1 })));
  using stage = new Stage();
  const { deadlines } = stage;
  const coalescer = new Coalescer<Answer>(() => rows, {
    ...{ kind: "read", action: "read circuit", keys: 100, waiting: 100, deadlines },
    onStatement: () => {},
  });
  const answers = ["a", "b", "absent"].map((key) => coalescer.join(deadlines.begin(), key).answer);
  assertEquals((await Promise.all(answers)).map((answer) => answer?.key), ["a", "b", undefined]);
});

Deno.test("Coalescer gives a failure to every call of the statement, and to no call of the next", async () => {
  using stage = new Stage();
  const failing = [stage.join("a").answer, stage.join("b").answer];
  await Promise.resolve();
  const next = stage.join("a").answer;
  const reason = new Error("gone");
  stage.sent[0]!.fail(reason);
  for (const answer of failing) {
    assertEquals(await answer.then(() => undefined, (error) => error), reason);
  }
  stage.sent[1]!.end();
  assertEquals((await next)!.statement, 2);
});

Deno.test("Coalescer refuses calls beyond what may wait, and takes them again once some were answered", async () => {
  using stage = new Stage({ waiting: 3 });
  const answers = ["a", "a", "b"].map((key) => stage.join(key).answer);
  const error = assertThrows(() => stage.join("c"), StoreOverloadError);
  assertEquals(error.message, "Cannot read circuit: 3 calls already wait for the database");
  assertEquals(stage.events, [{ kind: "read", keys: 0, calls: 0, rows: 0, ms: 0, error }]);
  await Promise.resolve();
  stage.sent[0]!.end();
  await Promise.all(answers);
  const late = stage.join("c").answer;
  await Promise.resolve();
  stage.sent[1]!.fail(new Error("gone"));
  await assertRejects(() => late, Error, "gone");
  const again = ["a", "b", "c"].map((key) => stage.join(key).answer);
  await Promise.resolve();
  stage.sent[2]!.end();
  await Promise.all(again);
});

Deno.test("Coalescer abandons a statement that hangs, sends the next, and ignores the late answer", async () => {
  using stage = new Stage({ timeoutMs: 30 });
  const hanging = stage.join("a").answer;
  await Promise.resolve();
  const { demand, end } = stage.sent[0]!;
  assert(demand.isAwaited);
  const error = await assertRejects(() => hanging, StoreTimeoutError);
  assertEquals(error.message, "Cannot read circuit: no answer in 30 ms");
  assert(!demand.isAwaited);
  const next = stage.join("a").answer;
  await Promise.resolve();
  assertEquals(stage.sentKeys, [["a"], ["a"]]);
  end();
  stage.sent[1]!.end();
  assertEquals(await next, { key: "a", statement: 2 });
});

Deno.test("Coalescer sends no call that expired while it gathered", async () => {
  using stage = new Stage({ timeoutMs: 30 });
  const hanging = stage.join("a").answer;
  await Promise.resolve();
  const gathered = ["a", "b"].map((key) => stage.join(key).answer);
  await Promise.all(
    [hanging, ...gathered].map((answer) => assertRejects(() => answer, StoreTimeoutError)),
  );
  const next = stage.join("b").answer;
  await Promise.resolve();
  assertEquals(stage.sentKeys, [["a"], ["b"]]);
  stage.sent[1]!.end();
  assertEquals((await next)!.statement, 2);
});

Deno.test("Coalescer sends what still gathers once the statement in flight is abandoned", async () => {
  using stage = new Stage({ timeoutMs: 30 });
  const hanging = stage.join("hanging").answer;
  await Promise.resolve();
  const expiring = stage.join("a").answer;
  const { beganAt, dueAt } = stage.deadlines.begin();
  const patient = stage.coalescer.join({ beganAt, dueAt: dueAt + 60_000 }, "b").answer;
  const errors = [hanging, expiring].map((answer) => assertRejects(() => answer));
  await Promise.all(errors);
  assertEquals(stage.sentKeys, [["hanging"], ["b"]]);
  stage.sent[1]!.end();
  assertEquals(await patient, { key: "b", statement: 2 });
});

Deno.test("Coalescer gives a call the last refusal at its deadline, also one that gathers", async () => {
  using stage = new Stage({ timeoutMs: 30 });
  const sent = stage.join("a").answer;
  await Promise.resolve();
  const gathering = stage.join("b").answer;
  stage.sent[0]!.demand.refusal = new Error("read only");
  for (const answer of [sent, gathering]) await assertRejects(() => answer, Error, "read only");
  const next = stage.join("c").answer;
  await assertRejects(() => next, Error, "read only");
  const answered = stage.join("d").answer;
  await Promise.resolve();
  stage.sent[2]!.end();
  await answered;
  await assertRejects(() => stage.join("e").answer, StoreTimeoutError);
});

Deno.test("Coalescer settles each key once with the deadlines", async () => {
  using stage = new Stage({ timeoutMs: 30 });
  let settled = 0;
  const settle = stage.deadlines.settled.bind(stage.deadlines);
  stage.deadlines.settled = () => {
    settled++;
    settle();
  };
  for (const end of ["end", "fail"] as const) {
    const answers = ["a", "b", "a", "absent"].map((key) => stage.join(key).answer);
    await Promise.resolve();
    stage.sent.at(-1)![end](new Error("gone"));
    await Promise.allSettled(answers);
  }
  assertEquals(settled, 6);
  await assertRejects(() => stage.join("a").answer);
  stage.sent.at(-1)!.end();
  const next = stage.join("a").answer;
  await Promise.resolve();
  stage.sent.at(-1)!.end();
  await next;
  assertEquals(settled, 8);
});

Deno.test("Coalescer reports how long a statement took", async () => {
  using stage = new Stage();
  const begin = performance.now();
  const { answer } = stage.join("a");
  await Promise.resolve();
  stage.sent[0]!.end();
  await answer;
  const [{ ms }] = stage.events as [StatementEvent];
  assert(ms >= 0 && ms <= performance.now() - begin, `${ms} ms`);
});

Deno.test("Coalescer reports each statement once, and not the failure of an abandoned one", async () => {
  using stage = new Stage({ timeoutMs: 30 });
  const gone = new Error("gone");
  const failing = ["a", "b", "a"].map((key) => stage.join(key).answer);
  await Promise.resolve();
  stage.sent[0]!.fail(gone);
  for (const answer of failing) await assertRejects(() => answer, Error, "gone");
  const hanging = ["a", "b"].map((key) => stage.join(key).answer);
  const [timeout] = await Promise.all(
    hanging.map((answer) => assertRejects(() => answer, StoreTimeoutError)),
  );
  stage.sent[1]!.fail(new Error("late"));
  const answered = ["a", "absent"].map((key) => stage.join(key).answer);
  await Promise.resolve();
  stage.sent[2]!.end();
  await Promise.all(answered);
  assertEquals(
    stage.events.map(({ kind, keys, rows, error }) => ({ kind, keys, rows, error })),
    [
      { kind: "read", keys: 2, rows: 0, error: gone },
      { kind: "read", keys: 2, rows: 0, error: timeout },
      { kind: "read", keys: 2, rows: 1, error: undefined },
    ],
  );
});
