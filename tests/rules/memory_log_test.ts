import { assertEquals } from "@std/assert";
import type { LogRequest } from "../../src/ports.ts";
import { MemoryLog } from "../../src/rules/memory_log.ts";
import { opened, settled } from "../feed/scripted_log.ts";

const ALL: LogRequest = {
  after: undefined,
  until: undefined,
  afterVersion: undefined,
  key: undefined,
  since: undefined,
  hasRounds: false,
  limit: 10_000,
};

/** A log on a clock that moves by hand. */
function openLog(historyMs = 1e9, historyRows = 1e9) {
  const clock = { at: 0 };
  const log = new MemoryLog({ historyMs, historyRows }, () => clock.at);
  const versions = (request: Partial<LogRequest> = {}) =>
    log.read({ ...ALL, ...request }).changes.map(({ version }) => version);
  return { clock, log, versions };
}

Deno.test("MemoryLog reads between two moments, from a version on, of a circuit and since a time", () => {
  const { log, versions } = openLog();
  const moments = [log.read(ALL).cursor];
  for (const version of [1, 2, 3, 4, 5, 6]) {
    log.append(opened(version, { key: version % 2 === 0 ? "even" : "odd", at: version * 10 }));
    moments.push(log.read(ALL).cursor);
  }
  assertEquals(versions(), [1, 2, 3, 4, 5, 6]);
  assertEquals(versions({ after: moments[2] }), [3, 4, 5, 6]);
  assertEquals(versions({ after: moments[2], until: moments[4] }), [3, 4]);
  assertEquals(versions({ until: moments[4], afterVersion: 1, limit: 2 }), [2, 3]);
  assertEquals(versions({ key: "even", since: 35 }), [4, 6]);
  assertEquals(versions({ after: moments[6] }), []);
  assertEquals(versions({ limit: 0 }), []);
});

Deno.test("MemoryLog keeps rounds and zeroings, and shows rounds where they are asked for", () => {
  const { log, versions } = openLog();
  log.append(opened(1));
  log.append(opened(2, { key: "circuit 1", cause: "round" }));
  log.append(opened(3, { key: "circuit 1", cause: "zeroed" }));
  assertEquals([versions(), versions({ hasRounds: true })], [[1], [1, 2]]);
  assertEquals(log.lastShown("circuit 1")?.version, 1);
  assertEquals(log.read(ALL).cursor.version, 3);
});

Deno.test("MemoryLog keeps as many changes as it may, and says what a reader missed", () => {
  const { log, versions } = openLog(1e9, 3);
  for (const version of [1, 2]) log.append(opened(version));
  const { cursor } = log.read(ALL);
  for (const version of [3, 4, 5]) log.append(opened(version));
  assertEquals(versions(), [3, 4, 5]);
  assertEquals(log.read({ ...ALL, after: cursor }).isBreak, false);
  log.append(opened(6));
  assertEquals(log.read({ ...ALL, after: cursor }).isBreak, true);
  assertEquals([log.lastShown("circuit 3"), log.lastShown("circuit 4")?.version], [undefined, 4]);
  for (let version = 7; version <= 5000; version++) log.append(opened(version));
  assertEquals(versions(), [4998, 4999, 5000]);
  assertEquals(versions({ afterVersion: 4998 }), [4999, 5000]);
});

Deno.test("MemoryLog keeps changes for a time", () => {
  const { clock, log, versions } = openLog(100);
  log.append(opened(1, { at: 0 }));
  log.append(opened(2, { at: 60 }));
  clock.at = 100;
  assertEquals(versions(), [1, 2]);
  clock.at = 101;
  assertEquals(versions(), [2]);
  clock.at = 1000;
  assertEquals(versions(), []);
});

Deno.test("MemoryLog takes the cursor of another log for a break", () => {
  const [one, other] = [openLog(), openLog()];
  const { cursor } = one.log.read(ALL);
  assertEquals(one.log.read({ ...ALL, after: cursor }).isBreak, false);
  assertEquals(other.log.read({ ...ALL, after: cursor }).isBreak, true);
});

Deno.test("MemoryLog announces changes after they were made, together", async () => {
  const { log } = openLog();
  let heard = 0;
  const leave = log.subscribe(() => heard++);
  log.append(opened(1));
  log.append(opened(2));
  assertEquals(heard, 0);
  await settled();
  assertEquals(heard, 1);
  leave();
  log.append(opened(3));
  await settled();
  assertEquals(heard, 1);
});
