import { assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { encodeCursor } from "../../src/feed/cursor.ts";
import { History } from "../../src/feed/history.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
import { cursorAt, opened, ScriptedLog, settled } from "./scripted_log.ts";

/** A history whose database's clock is 5 s behind the caller's. */
function openHistory() {
  const log = new ScriptedLog();
  const clock = { now: () => 0, toCaller: (time: number) => time === 0 ? 0 : time + 5000 };
  return { log, history: new History({ log, clock, begin: () => IMMEDIATE_CALL }) };
}

Deno.test("history asks for as many pages as it takes for its limit", async () => {
  const { log, history } = openHistory();
  const read = history.read({ limit: 3, rounds: true });
  await settled();
  assertEquals([log.last.limit, log.last.hasRounds], [3, true]);
  const hidden = opened(2, { to: "closed", cause: "zeroed" });
  await log.answer({ changes: [opened(1), hidden, opened(3)], cursor: cursorAt(9) });
  assertEquals([log.last.limit, log.last.until, log.last.afterVersion], [1, cursorAt(9), 3]);
  await log.answer({ changes: [opened(4)], cursor: cursorAt(9) });
  assertEquals((await read).map(({ version, at }) => [version, at]), [[1, 5001], [3, 5003], [
    4,
    5004,
  ]]);
  assertEquals(log.requests.length, 2);
});

Deno.test("history after a cursor reads the rest of its part, and then what came since", async () => {
  const { log, history } = openHistory();
  const after = encodeCursor({ from: cursorAt(2), to: cursorAt(9), version: 5 });
  const read = history.read({ after, key: { storedKey: "api" } });
  await settled();
  const parts = () => [log.last.after, log.last.until, log.last.afterVersion, log.last.key];
  assertEquals(parts(), [cursorAt(2), cursorAt(9), 5, "api"]);
  await log.answer({ changes: [opened(8)] });
  assertEquals(parts(), [cursorAt(9), undefined, undefined, "api"]);
  await log.answer({ changes: [opened(7)] });
  assertEquals((await read).map(({ version }) => version), [8, 7]);
});

Deno.test("history converts the caller's time once it knows the database's", async () => {
  for (const [since, asked] of [[20_000, 15_000], [20_000.5, 15_001]]) {
    const { log, history } = openHistory();
    const read = history.read({ since: since! });
    await settled();
    assertEquals([log.last.limit, log.last.since], [0, undefined]);
    await log.answer({ readAt: 99_000 });
    assertEquals([log.last.limit, log.last.since], [100, asked]);
    await log.answer();
    assertEquals(await read, []);
  }
});

Deno.test("history in memory goes on from the first change of all", async () => {
  await using store = new InMemoryCircuitBreakerStore();
  await store.transition("api", "open");
  const [first] = await store.history();
  assertEquals(first!.version, 1);
  assertEquals(await store.history({ after: first!.cursor }), []);
  await store.transition("api", "closed");
  assertEquals((await store.history({ after: first!.cursor })).map(({ version }) => version), [2]);
});
