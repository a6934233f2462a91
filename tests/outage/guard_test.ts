import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Circuit } from "../../src/circuit.ts";
import {
  CircuitBreakerStoreError,
  StoreOverloadError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../../src/errors.ts";
import { type GuardedCircuits, OutageGuard } from "../../src/outage/guard.ts";
import { LocalCircuits } from "../../src/outage/local_circuits.ts";
import { Outage } from "../../src/outage/outage.ts";
import type {
  Answer,
  FlushResult,
  LogPage,
  SeenInstance,
  Tail,
  TailPage,
} from "../../src/ports.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { type Call, IMMEDIATE_CALL } from "../../src/time/call.ts";
import { rulesOf } from "../support/rules.ts";

const RULES = rulesOf({ resetTimeoutMs: 1000, probeTimeoutMs: 1000, failureThreshold: 3 });
const CALL = IMMEDIATE_CALL;
const ACT = { reason: undefined, actor: undefined };
const FORCE = { state: "open", forMs: undefined, ...ACT } as const;
const CURSOR = { snapshot: "1:1:", version: 0, run: "run" };
const INSTANCE = { id: "id", label: "label", boundMs: 1000 };
const FLUSH = { number: 1, deferred: [] };
const LOG = {
  after: undefined,
  until: undefined,
  afterVersion: undefined,
  key: undefined,
  since: undefined,
  hasRounds: false,
  limit: 10,
};
const LIST = { state: undefined, after: undefined, limit: 10 };
const PRUNE = { idleMs: 0, limit: 10, isElected: false };
const LOST = new StoreUnavailableError("Cannot read circuit: connection lost");

/** A database of circuits, and of nothing else. */
class Database extends MemoryCircuits implements Tail {
  readonly page: LogPage = { changes: [], cursor: CURSOR, isBreak: false, readAt: 0 };
  readonly flushed: FlushResult = { outcome: "done", leftOver: [] };
  /** The keys that have changed. */
  changed: string[] = [];

  override log(): Promise<LogPage> {
    return Promise.resolve(this.page);
  }

  async tail(call: Call): Promise<TailPage> {
    const circuits = await this.readMany(call, this.changed);
    return { cursor: CURSOR, isBreak: false, isTooLong: false, circuits, absent: [] };
  }

  readKnown(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    return this.readMany(call, keys);
  }

  flush(): Promise<FlushResult> {
    return Promise.resolve(this.flushed);
  }

  findFlush(): Promise<FlushResult> {
    return Promise.resolve(this.flushed);
  }

  vote(call: Call, key: string): Promise<Answer<Circuit>> {
    return this.recordFailure(call, key);
  }

  async withdraw(): Promise<void> {}

  async register(): Promise<void> {}

  instances(): Promise<SeenInstance[]> {
    return Promise.resolve([]);
  }

  async addCircuits(): Promise<void> {}

  async countDeferred(): Promise<void> {}
}

class Stage implements Disposable {
  now = 1_000_000;
  readonly database: Database = new Database(RULES, () => this.now, "database");
  readonly outage: Outage;
  readonly guard: OutageGuard;
  /** What each statement fails with. */
  failure: Error | undefined;
  /** Whether the process was held up, so that a lost connection is no outage. */
  isHeldUp = false;
  /** How long each statement takes, as it is reported. */
  statementMs = 0;
  statements = 0;
  #check = Promise.withResolvers<void>();
  #ended = Promise.withResolvers<void>();

  constructor(onOutage: "throw" | "local") {
    const local = onOutage === "local" ? new LocalCircuits(RULES, () => this.now) : undefined;
    this.outage = new Outage({
      check: () => this.#check.promise,
      wasHeldUpSince: () => this.isHeldUp,
      wasLost: (error) => error === LOST,
      onChange: ({ isOut }) => {
        local?.clear();
        if (!isOut) this.#ended.resolve();
      },
    });
    const reached = this.#reached();
    this.guard = new OutageGuard(reached, reached, this.outage, local);
  }

  /** The database as a dispatcher reaches it: it reports each statement, then answers. */
  #reached(): GuardedCircuits & Tail {
    return new Proxy(this.database, {
      get: (database, name) => async (...args: unknown[]) => {
        this.statements++;
        const error = this.failure;
        const ms = this.statementMs;
        this.outage.onStatement({ kind: "read", keys: 1, calls: 1, rows: 0, ms, error });
        if (error !== undefined) throw error;
        // deno-lint-ignore no-explicit-any
        return await (database as any)[name](...args);
      },
    });
  }

  /** Begins an outage by a call that fails. */
  async begin(): Promise<void> {
    this.failure = LOST;
    await this.guard.read(CALL, "other").catch(() => {});
    assert(this.guard.isOut);
  }

  /** Lets the check of an outage succeed. */
  async end(): Promise<void> {
    this.failure = undefined;
    this.#check.resolve();
    // The timer of a check does not keep the process alive.
    const alive = setInterval(() => {}, 1000);
    await this.#ended.promise;
    clearInterval(alive);
    assert(!this.guard.isOut);
  }

  [Symbol.dispose](): void {
    this.outage.end();
  }
}

function seen({ circuit, source }: Answer): [Circuit["state"] | undefined, number, string] {
  return [circuit?.state, circuit?.failureCount ?? 0, source];
}

const SUCCESS = "success";

/** All calls of a gateway. */
const CALLS: Record<string, (guard: OutageGuard) => Promise<unknown>> = {
  read: (guard) => guard.read(CALL, "api"),
  recordSuccess: (guard) => guard.recordSuccess(CALL, "api"),
  recordFailure: (guard) => guard.recordFailure(CALL, "api"),
  transition: (guard) => guard.transition(CALL, "api", "open"),
  claim: (guard) => guard.claim(CALL, "api", 0),
  settle: (guard) => guard.settle(CALL, "api", SUCCESS, { version: 1, lastStateChange: 0 }),
  readMany: (guard) => guard.readMany(CALL, ["api"]),
};

/** All calls of an operator, and what runs in the background. */
const OTHERS: Record<string, (guard: OutageGuard) => Promise<unknown>> = {
  force: (guard) => guard.force(CALL, "api", FORCE),
  reset: (guard) => guard.reset(CALL, "api", ACT),
  list: (guard) => guard.list(CALL, LIST),
  prune: (guard) => guard.prune(CALL, PRUNE),
  vote: (guard) => guard.vote(CALL, "api"),
  withdraw: (guard) => guard.withdraw(CALL, ["api"]),
  tail: (guard) => guard.tail(CALL, CURSOR, 10),
  log: (guard) => guard.log(CALL, LOG),
  readKnown: (guard) => guard.readKnown(CALL, ["api"]),
  register: (guard) => guard.register(CALL, INSTANCE),
  flush: (guard) => guard.flush(CALL, INSTANCE, FLUSH),
  findFlush: (guard) => guard.findFlush(CALL, INSTANCE, FLUSH),
  addCircuits: (guard) => guard.addCircuits(CALL, ["api"]),
  countDeferred: (guard) => guard.countDeferred(CALL, []),
};

const ALL = { ...CALLS, ...OTHERS };

Deno.test("OutageGuard passes every call to the database while it is reachable", async () => {
  for (const onOutage of ["throw", "local"] as const) {
    using stage = new Stage(onOutage);
    for (const call of Object.values(ALL)) await call(stage.guard);
    assertEquals(stage.statements, Object.keys(ALL).length);
    assertEquals((await stage.guard.recordFailure(CALL, "api")).source, "database");
    assertEquals(await stage.guard.log(CALL, LOG), stage.database.page);
    assertEquals(await stage.guard.flush(CALL, INSTANCE, FLUSH), stage.database.flushed);
  }
});

Deno.test("OutageGuard lets results and transitions fail that are lost without an outage", async () => {
  const WRITES = ["recordSuccess", "recordFailure", "transition", "settle"];
  for (const [name, call] of Object.entries(CALLS)) {
    using stage = new Stage("local");
    stage.isHeldUp = true;
    stage.failure = LOST;
    if (WRITES.includes(name)) {
      assertEquals(await assertRejects(() => call(stage.guard)), LOST, name);
    } else await call(stage.guard);
    assert(!stage.guard.isOut);
    // An outage answers them all.
    stage.isHeldUp = false;
    await call(stage.guard);
    assert(stage.guard.isOut);
  }
});

Deno.test("OutageGuard that throws lets every call fail at once during an outage, and none before", async () => {
  using stage = new Stage("throw");
  stage.failure = LOST;
  assertEquals(await assertRejects(() => stage.guard.read(CALL, "api")), LOST);
  const { statements } = stage;
  for (const [name, call] of Object.entries(ALL)) {
    const error = await assertRejects(() => call(stage.guard), StoreUnavailableError, "", name);
    assertEquals(
      [error.message, error.cause],
      [
        "Cannot use the database: it is out (Cannot read circuit: connection lost)",
        LOST,
      ],
    );
  }
  assertEquals(stage.statements, statements);
  await stage.end();
  assertEquals((await stage.guard.recordFailure(CALL, "api")).source, "database");
});

Deno.test("OutageGuard with local circuits answers every call of a gateway during an outage", async () => {
  for (const [name, call] of Object.entries(CALLS)) {
    using stage = new Stage("local");
    await stage.guard.recordFailure(CALL, "api");
    stage.failure = LOST;
    // The call that begins the outage is answered locally too.
    const first = await call(stage.guard);
    const { statements } = stage;
    const second = await call(stage.guard);
    assertEquals(stage.statements, statements);
    if (name === "readMany") {
      for (const circuits of [first, second]) assertEquals((circuits as Circuit[]).length, 1);
    } else {
      for (const answer of [first, second]) assertEquals((answer as Answer).source, "local");
    }
  }
});

Deno.test("OutageGuard lets what an operator does fail during an outage, also with local circuits", async () => {
  for (const [name, call] of Object.entries(OTHERS)) {
    using stage = new Stage("local");
    stage.failure = LOST;
    assertEquals(
      await assertRejects(() => call(stage.guard), StoreUnavailableError, "", name),
      LOST,
    );
    await assertRejects(() => call(stage.guard), StoreUnavailableError, "it is out", name);
    assertEquals(stage.statements, 1);
  }
});

Deno.test("OutageGuard begins local circuits as the instance last knew them", async () => {
  using stage = new Stage("local");
  const { guard, database } = stage;
  await guard.recordFailure(CALL, "recorded");
  await guard.transition(CALL, "moved", "open");
  await database.recordFailure(CALL, "read");
  await guard.read(CALL, "read");
  for (const key of ["refreshed", "followed"]) {
    await guard.read(CALL, key);
    await guard.recordSuccess(CALL, key);
    await database.recordFailure(CALL, key);
  }
  await guard.readKnown(CALL, ["refreshed"]);
  database.changed = ["followed"];
  await guard.tail(CALL, CURSOR, 10);
  await guard.force(CALL, "forced", FORCE);
  await guard.recordFailure(CALL, "reset");
  await guard.reset(CALL, "reset", ACT);
  // What others do is not known.
  await database.recordFailure(CALL, "unknown");
  await stage.begin();
  assertEquals(seen(await guard.read(CALL, "recorded")), ["closed", 1, "local"]);
  assertEquals(seen(await guard.read(CALL, "moved")), ["open", 0, "local"]);
  assertEquals(seen(await guard.read(CALL, "read")), ["closed", 1, "local"]);
  assertEquals(seen(await guard.read(CALL, "refreshed")), ["closed", 1, "local"]);
  assertEquals(seen(await guard.read(CALL, "followed")), ["closed", 1, "local"]);
  assertEquals((await guard.read(CALL, "forced")).circuit?.forced?.state, "open");
  assertEquals(seen(await guard.read(CALL, "reset")), ["closed", 0, "local"]);
  assertEquals(await guard.read(CALL, "unknown"), { circuit: undefined, source: "local" });
  assertEquals(seen(await guard.recordFailure(CALL, "recorded")), ["closed", 2, "local"]);
  assertEquals(seen(await guard.recordFailure(CALL, "recorded")), ["closed", 3, "local"]);
});

Deno.test("OutageGuard admits probes of its own during an outage", async () => {
  using stage = new Stage("local");
  const { guard } = stage;
  await guard.transition(CALL, "api", "open");
  await stage.begin();
  assertEquals((await guard.claim(CALL, "api", 0)).isAdmitted, false);
  stage.now += 1000;
  const { isAdmitted, circuit } = await guard.claim(CALL, "api", 0);
  assert(isAdmitted);
  assertEquals((await guard.claim(CALL, "api", 0)).isAdmitted, false);
  const settled = await guard.settle(CALL, "api", SUCCESS, circuit!);
  assertEquals(seen(settled), ["closed", 0, "local"]);
});

Deno.test("OutageGuard forgets local circuits when the database is back, and begins anew", async () => {
  using stage = new Stage("local");
  const { guard, database } = stage;
  await guard.recordFailure(CALL, "api");
  await stage.begin();
  await guard.recordFailure(CALL, "api");
  await guard.transition(CALL, "api", "open");
  await guard.recordFailure(CALL, "local");
  await stage.end();
  assertEquals(seen(await guard.read(CALL, "api")), ["closed", 1, "database"]);
  assertEquals((await guard.read(CALL, "local")).circuit, undefined);
  await database.recordFailure(CALL, "api");
  await guard.read(CALL, "api");
  stage.failure = LOST;
  assertEquals(seen(await guard.read(CALL, "api")), ["closed", 2, "local"]);
  assertEquals((await guard.read(CALL, "local")).circuit, undefined);
});

Deno.test("OutageGuard answers single calls locally where no outage begins", async () => {
  const failures = [
    new StoreOverloadError("Cannot record result: 3 calls already wait for the database"),
    new StoreTimeoutError("Cannot record result: no answer in 1000 ms"),
  ];
  for (const failure of failures) {
    using stage = new Stage("local");
    const { guard } = stage;
    await stage.begin();
    await stage.end();
    await guard.recordFailure(CALL, "api");
    // Sent before the last outage ended, the timeout begins none. The overload never does.
    if (failure instanceof StoreTimeoutError) stage.statementMs = performance.now();
    stage.failure = failure;
    assertEquals(seen(await guard.recordFailure(CALL, "api")), ["closed", 2, "local"]);
    assert(!guard.isOut);
    // Nothing of what was done locally is left.
    assertEquals(seen(await guard.recordFailure(CALL, "api")), ["closed", 2, "local"]);
    assertEquals((await guard.readMany(CALL, ["api"])).map((each) => each.failureCount), [1]);
    stage.failure = undefined;
    assertEquals(seen(await guard.recordFailure(CALL, "api")), ["closed", 2, "database"]);
  }
});

Deno.test("OutageGuard that throws passes on an overload, and begins no outage", async () => {
  using stage = new Stage("throw");
  stage.failure = new StoreOverloadError("Cannot record result: 3 calls already wait");
  assertEquals(await assertRejects(() => stage.guard.recordFailure(CALL, "api")), stage.failure);
  assert(!stage.guard.isOut);
});

Deno.test("OutageGuard passes on every other error as it is, and begins no outage", async () => {
  for (const onOutage of ["throw", "local"] as const) {
    using stage = new Stage(onOutage);
    stage.failure = new CircuitBreakerStoreError("Cannot read circuit: permission denied", {
      sqlState: "42501",
    });
    for (const call of Object.values(ALL)) {
      assertEquals(await assertRejects(() => call(stage.guard)), stage.failure);
    }
    assert(!stage.guard.isOut);
  }
});
