/**
 * The reader on a log as a server shows it: transactions take their versions and their ids early, and
 * commit in any order, or never. `SEED=...` repeats a failure.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { decodeCursor } from "../../src/feed/cursor.ts";
import {
  isShown,
  LogReader,
  type ReadChange,
  type ReaderPlace,
} from "../../src/feed/log_reader.ts";
import type { LogCursor, LoggedChange, LogPage, LogRequest } from "../../src/ports.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
import { opened, RUN } from "./scripted_log.ts";

const SEED = Deno.env.get("SEED");
const BEGINNING: ReaderPlace = { from: undefined, to: undefined, version: undefined };
const ALL = { key: undefined, since: undefined, hasRounds: true };

interface Transaction {
  xid: number;
  changes: LoggedChange[];
}

/** A log in which transactions are open for any time. */
class Server {
  readonly committed: Transaction[] = [];
  readonly running = new Map<number, Transaction>();
  failsNext = false;
  #nextXid = 700;
  #nextVersion = 1;

  /** Begins a transaction that changes circuits. Their rows are locked until it ends. */
  begin(keys: readonly string[]): void {
    const locked = [...this.running.values()].flatMap(({ changes }) =>
      changes.map(({ key }) => key)
    );
    const free = keys.filter((key, i) => !locked.includes(key) && keys.indexOf(key) === i);
    const xid = this.#nextXid++;
    // Another circuit can take its version long after this one.
    const changes = free.map((key) => opened(this.#nextVersion++, { key }));
    this.running.set(xid, { xid, changes });
  }

  end(place: number, commits: boolean): void {
    const transaction = [...this.running.values()][place % Math.max(1, this.running.size)];
    if (transaction === undefined) return;
    this.running.delete(transaction.xid);
    if (commits) this.committed.push(transaction);
  }

  // deno-lint-ignore require-await
  async log(_call: unknown, request: LogRequest): Promise<LogPage> {
    if (this.failsNext) {
      this.failsNext = false;
      throw new Error("Cannot read changes: the connection was lost");
    }
    const { after, until, afterVersion = -1, key, limit } = request;
    const changes = this.committed.filter(({ xid }) =>
      (after === undefined || !isVisible(xid, after)) &&
      (until === undefined || isVisible(xid, until))
    ).flatMap((transaction) => transaction.changes)
      .filter((change) => change.version > afterVersion && (key ?? change.key) === change.key)
      .toSorted((a, b) => a.version - b.version).slice(0, limit);
    return { changes, cursor: this.#cursor(), isBreak: false, readAt: 0 };
  }

  #cursor(): LogCursor {
    const xips = [...this.running.keys()];
    const versions = this.committed.flatMap(({ changes }) => changes.map(({ version }) => version));
    return {
      snapshot: `${xips[0] ?? this.#nextXid}:${this.#nextXid}:${xips}`,
      version: Math.max(0, ...versions),
      run: RUN,
    };
  }
}

function isVisible(xid: number, { snapshot }: LogCursor): boolean {
  const [, xmax, xips] = snapshot.split(":");
  return xid < Number(xmax) && !xips!.split(",").includes(`${xid}`);
}

/** What happens at a step, beside what the reader does. */
type Event =
  | { what: "begin"; keys: string[] }
  | { what: "end"; place: number; commits: boolean }
  | { what: "read"; limit: number }
  | { what: "fail"; limit: number }
  | { what: "resume" };

const key = fc.constantFrom("a", "b", "c", "d");
const limit = fc.integer({ min: 1, max: 5 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("begin" as const), keys: fc.array(key) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("end" as const),
      place: fc.nat(9),
      commits: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 5, arbitrary: fc.record({ what: fc.constant("read" as const), limit }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("fail" as const), limit }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("resume" as const) }) },
);

Deno.test("LogReader reads each change once and those of a circuit in order, also when it goes on from a cursor", async () => {
  const met = { late: 0, resumed: 0, failed: 0, full: 0 };

  async function live(events: Event[]): Promise<void> {
    const server = new Server();
    let reader = new LogReader(server, ALL, BEGINNING);
    const read: ReadChange[] = [];
    const readPage = async (limit: number) => {
      const page = await reader.read(IMMEDIATE_CALL, limit);
      for (const each of page.changes) {
        if (each.change.version < (read.at(-1)?.change.version ?? 0)) met.late++;
        read.push(each);
      }
      if (page.changes.length === limit) met.full++;
      return page.isAtEnd;
    };
    for (const event of events) {
      switch (event.what) {
        case "begin":
          server.begin(event.keys);
          break;
        case "end":
          server.end(event.place, event.commits);
          break;
        case "read":
          await readPage(event.limit);
          break;
        case "fail":
          server.failsNext = true;
          await readPage(event.limit).catch(() => met.failed++);
          break;
        case "resume": {
          const last = read.at(-1);
          if (last === undefined) break;
          // Another process goes on from what was read last.
          reader = new LogReader(server, ALL, decodeCursor("watch circuits", last.cursor));
          met.resumed++;
        }
      }
    }
    while (server.running.size > 0) server.end(0, true);
    while (!await readPage(3));
    const expected = server.committed.flatMap(({ changes }) => changes);
    const versions = (changes: readonly LoggedChange[]) =>
      changes.map(({ version }) => version).toSorted((a, b) => a - b);
    assertEquals(versions(read.map(({ change }) => change)), versions(expected));
    for (const key of ["a", "b", "c", "d"]) {
      const own = read.filter(({ change }) => change.key === key).map(({ change }) => change);
      assertEquals(own.map(({ version }) => version), versions(own));
    }
  }

  await fc.assert(fc.asyncProperty(fc.array(event, { maxLength: 60, size: "max" }), live), {
    numRuns: 500,
    ...SEED !== undefined && { seed: Number(SEED) },
  });
  for (const [what, times] of Object.entries(met)) {
    assertEquals([what, times > 0], [what, true]);
  }
});

Deno.test("LogReader passes its filter on with every page", async () => {
  const requests: LogRequest[] = [];
  const log = (_call: unknown, request: LogRequest): Promise<LogPage> => {
    requests.push(request);
    const cursor = { snapshot: "9:9:", version: 8, run: RUN };
    const changes = requests.length === 1 ? [opened(8)] : [];
    return Promise.resolve({ changes, cursor, isBreak: false, readAt: 0 });
  };
  const reader = new LogReader({ log }, { key: "api", since: 5, hasRounds: false }, BEGINNING);
  for (let i = 0; i < 3; i++) await reader.read(IMMEDIATE_CALL, 1);
  assertEquals(
    requests.map(({ key, since, hasRounds }) => [key, since, hasRounds]),
    Array(3).fill(["api", 5, false]),
  );
});

Deno.test("LogReader reports a break once for each run, and says whether the log is another one", async () => {
  const other = "PostgreSQL was restarted or restored, or the log is another one";
  const trimmed = "the log no longer holds all changes since the last ones that were read";
  const pages = [["run.1", true], ["run.2", true], ["run.2", true], ["run.2", false], [
    "run.2",
    true,
  ]] as const;
  const left = [...pages];
  const log = () => {
    const [run, isBreak] = left.shift()!;
    const cursor = { snapshot: "9:9:", version: 8, run };
    return Promise.resolve({ changes: [], cursor, isBreak, readAt: 5 });
  };
  const reader = new LogReader({ log }, ALL, BEGINNING);
  const reasons: unknown[] = [];
  for (const _ of pages) {
    const { breakReason, isAtEnd, readAt } = await reader.read(IMMEDIATE_CALL, 1);
    assertEquals([isAtEnd, readAt], [true, 5]);
    reasons.push(breakReason);
  }
  assertEquals(reasons, [other, other, undefined, undefined, trimmed]);
});

Deno.test("isShown hides what changes no state, but for rounds and acts that are asked for", () => {
  const kinds = [
    opened(1),
    opened(2, { from: "half-open", to: "half-open", cause: "round" }),
    opened(3, { to: "closed", cause: "force" }),
    opened(4, { to: "closed", cause: "zeroed" }),
    opened(5, { to: "closed", cause: "suspect" }),
    opened(6, { to: "closed", cause: "vote" }),
  ];
  const shown = (rounds: boolean, acts: boolean) =>
    kinds.filter((each) => isShown(each, { rounds, acts })).map(({ version }) => version);
  assertEquals(shown(false, false), [1, 6]);
  assertEquals(shown(true, false), [1, 2, 6]);
  assertEquals(shown(false, true), [1, 3, 6]);
  assertEquals(shown(true, true), [1, 2, 3, 6]);
});
