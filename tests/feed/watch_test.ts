import { assert, assertEquals } from "@std/assert";
import {
  type CircuitChange,
  type CircuitState,
  isSchemaError,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
  type WatchBreak,
} from "../../mod.ts";
import { failureOf } from "../conformance/session.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { openNodePostgres, openPglite, openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";
import { listening } from "../support/listening.ts";
import { randomOf } from "../support/random.ts";

const TABLE = "stoma_circuit_breakers";

/** Longer than any test: nothing but an announcement makes a watch look. */
const NEVER = 600_000;

/** What is left of a change when it is compared. Versions are numbers of a sequence, with gaps. */
type Step = Pick<CircuitChange, "key" | "from" | "to">;

/** A migrated database with a client for each way to hear of changes, and a store that writes. */
async function openStage(options: PostgresCircuitBreakerStoreOptions = {}) {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase());
  const driver = stack.use(await openPostgresJs(database.url, { max: 4 }));
  await migrate(driver.client);
  const writer = stack.use(new PostgresCircuitBreakerStore(driver.client, TABLE, options));
  return {
    url: database.url,
    client: driver.client,
    sql: driver.raw,
    writer,
    /** A store of its own for watching. */
    watcher: (maxStalenessMs: number, hears?: () => boolean) =>
      stack.use(
        new PostgresCircuitBreakerStore(
          hears === undefined ? driver.client : listening(driver.client, database.url, hears),
          TABLE,
          { ...options, maxStalenessMs },
        ),
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The next `count` changes. */
async function take(
  changes: AsyncIterator<CircuitChange>,
  count: number,
): Promise<CircuitChange[]> {
  const taken: CircuitChange[] = [];
  while (taken.length < count) taken.push((await changes.next()).value);
  return taken;
}

/** Steps in words: `api closed>open`. */
function words(steps: readonly Step[]): string[] {
  return steps.map(({ key, from, to }) => `${key} ${from}>${to}`);
}

/** Resolves once a watch reports a change of another circuit: by then it listens. */
async function begun(
  changes: AsyncIterator<CircuitChange>,
  writer: PostgresCircuitBreakerStore,
  key = "begin",
): Promise<void> {
  await writer.transition(key, "open");
  assertEquals(words(await take(changes, 1)), [`${key} closed>open`]);
}

Deno.test("watch hears forces, releases and resets that change the visible state", async () => {
  await using stage = await openStage();
  const { writer } = stage;
  const changes = stage.watcher(NEVER, () => true).watch();
  await begun(changes, writer);
  await writer.forceClosed("api");
  await writer.forceOpen("api", { reason: "maintenance" });
  await writer.transition("api", "half-open");
  await writer.release("api");
  await writer.transition("api", "open");
  await writer.forceOpen("api");
  await writer.forceClosed("api");
  await writer.release("api");
  assertEquals(words(await take(changes, 5)), [
    "api closed>open",
    "api open>closed",
    "api closed>open",
    "api open>closed",
    "api closed>open",
  ]);
  await writer.reset("api");
  assertEquals(words(await take(changes, 1)), ["api open>closed"]);
});

Deno.test("watch reports the end of a forced state that runs out", async () => {
  await using stage = await openStage();
  const changes = stage.watcher(20).watch();
  await begun(changes, stage.writer);
  const { lastStateChange } = await stage.writer.forceOpen("api", { forMs: 100 });
  const [first, last] = await take(changes, 2);
  assertEquals(words([first!, last!]), ["api closed>open", "api open>closed"]);
  assertEquals([last!.cause, last!.actor], ["expiry", ""]);
  assert(Math.abs(first!.at - lastStateChange) <= 1, `${first!.at} ${lastStateChange}`);
  // The first to notice it says when.
  assert(last!.at >= lastStateChange + 98, `${last!.at} ${lastStateChange}`);
});

Deno.test("watch reports keys as list shows them, and times in the caller's clock", async () => {
  let time = 5_000_000;
  await using stage = await openStage({ now: () => time });
  const changes = stage.watcher(20).watch();
  const keys = ["", "a,b\nc{}", "é\u{1F600}", "nul\0", "x".repeat(10_000)];
  for (const key of keys) {
    time += 1000;
    await stage.writer.transition(key, "open");
    const { value } = await changes.next();
    assertEquals([value.to, value.at], ["open", time]);
    const [listed] = (await stage.writer.list()).filter((each) => each.lastStateChange === time);
    assertEquals(value.key, listed!.key);
  }
});

Deno.test("watch hears rounds of probes as one half-open", async () => {
  await using stage = await openStage({ resetTimeoutMs: 1, probeTimeoutMs: 1 });
  const { writer } = stage;
  const changes = stage.watcher(20).watch();
  await begun(changes, writer, "api");
  for (let rounds = 0; rounds < 3;) {
    if ((await writer.getState("api")).state === "half-open") rounds++;
  }
  assertEquals(words(await take(changes, 1)), ["api open>half-open"]);
  await writer.reset("api");
  assertEquals(words(await take(changes, 1)), ["api half-open>closed"]);
});

Deno.test("watch loses no change between two looks, also not of a circuit that was reset", async () => {
  await using stage = await openStage();
  const { writer } = stage;
  const changes = stage.watcher(NEVER, () => hears).watch();
  let hears = true;
  await begun(changes, writer, "api");
  hears = false;
  await writer.transition("api", "half-open");
  await writer.reset("api");
  await writer.transition("api", "open");
  hears = true;
  await writer.transition("api", "half-open");
  assertEquals(words(await take(changes, 4)), [
    "api open>half-open",
    "api half-open>closed",
    "api closed>open",
    "api open>half-open",
  ]);
});

Deno.test("watch goes on by itself when its listening connection is terminated", async () => {
  await using stage = await openStage();
  const { writer, sql } = stage;
  const changes = stage.watcher(NEVER, () => true).watch();
  await begun(changes, writer);
  for (let i = 1; i <= 5; i++) {
    const ended = await sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where datname = current_database() and query like 'listen %'`;
    assertEquals(ended.length, 1);
    await writer.transition("api", i % 2 === 1 ? "open" : "closed");
    const [from, to] = i % 2 === 1 ? ["closed", "open"] : ["open", "closed"];
    assertEquals(words(await take(changes, 1)), [`api ${from}>${to}`]);
    // The connection that was terminated may be listened to no more, or already again.
    while ((await listeners(sql)) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

async function listeners(sql: Awaited<ReturnType<typeof openPostgresJs>>["raw"]): Promise<number> {
  const rows = await sql`select from pg_stat_activity
    where datname = current_database() and query like 'listen %'`;
  return rows.length;
}

Deno.test("watch loses and repeats nothing when the database is away for a while", async () => {
  for (const onOutage of ["throw", "local"] as const) {
    await using stage = await openStage();
    const { writer } = stage;
    await using proxy = TcpProxy.start(stage.url);
    const url = proxy.urlOf(stage.url);
    await using driver = await openNodePostgres(url, { max: 2 });
    const outages: boolean[] = [];
    const out = Promise.withResolvers<void>();
    await using watcher = new PostgresCircuitBreakerStore(
      listening(driver.client, url),
      TABLE,
      {
        maxStalenessMs: 20,
        onOutage,
        onOutageChange: ({ isOut }) => {
          outages.push(isOut);
          if (isOut) out.resolve();
        },
      },
    );
    const changes = watcher.watch();
    await begun(changes, writer, "api");
    await proxy.refuse();
    proxy.cut();
    await out.promise;
    await writer.transition("api", "half-open");
    await writer.transition("api", "closed");
    // What this instance does for itself meanwhile is not what the fleet sees.
    await watcher.transition("local", "open").catch(() => {});
    await proxy.resume();
    assertEquals(words(await take(changes, 2)), [
      "api open>half-open",
      "api half-open>closed",
    ]);
    assertEquals(outages[0], true);
    await writer.transition("api", "open");
    assertEquals(words(await take(changes, 1)), ["api closed>open"]);
  }
});

Deno.test("watch that begins in an outage reports the changes since then", async () => {
  await using stage = await openStage();
  await using proxy = TcpProxy.start(stage.url);
  await using driver = await openPostgresJs(proxy.urlOf(stage.url), { max: 1 });
  await using watcher = new PostgresCircuitBreakerStore(driver.client, TABLE, {
    maxStalenessMs: 20,
  });
  await stage.writer.transition("api", "open");
  await watcher.peek("api");
  await tick(stage.sql);
  await proxy.refuse();
  proxy.cut();
  assert(await failureOf(() => watcher.peek("not in memory")));
  const changes = watcher.watch();
  await stage.writer.transition("api", "closed");
  await proxy.resume();
  assertEquals(words(await take(changes, 1)), ["api open>closed"]);
});

Deno.test("watch that cannot look in time tries again and begins no outage", async () => {
  await using stage = await openStage();
  await using other = await openPostgresJs(stage.url, { max: 8 });
  const looks: PromiseWithResolvers<void>[] = [0, 1, 2].map(() => Promise.withResolvers());
  let sent = 0;
  const outages: unknown[] = [];
  await using watcher = new PostgresCircuitBreakerStore(
    {
      query: (text, params) => {
        if (isHeld) looks[sent++]?.resolve();
        return other.client.query(text, params);
      },
    },
    TABLE,
    { timeoutMs: 100, maxStalenessMs: 20, onOutageChange: (change) => outages.push(change) },
  );
  let isHeld = false;
  const changes = watcher.watch();
  await begun(changes, stage.writer, "api");
  await stage.sql.begin(async (sql) => {
    await sql.unsafe(`lock table ${TABLE} in access exclusive mode`);
    isHeld = true;
    await looks[2]!.promise;
  });
  await stage.writer.transition("api", "closed");
  assertEquals(words(await take(changes, 1)), ["api open>closed"]);
  assertEquals(outages, []);
});

Deno.test("watch reports every change once and in order, whatever it hears", async (t) => {
  const hearing: Record<string, ((random: () => number) => () => boolean) | undefined> = {
    everything: () => () => true,
    "a third": (random) => () => random() < 1 / 3,
    nothing: () => () => false,
    "without listen": undefined,
  };
  let seed = Number(Deno.env.get("WATCH_SEED") ?? Math.floor(Math.random() * 2 ** 31));
  for (const [name, hears] of Object.entries(hearing)) {
    await t.step(`hearing ${name}, seed ${++seed}`, async () => {
      await runHistory(randomOf(seed), hears);
    });
  }
});

async function runHistory(
  random: () => number,
  hears: ((random: () => number) => () => boolean) | undefined,
): Promise<void> {
  await using stage = await openStage();
  await stage.client.query("create table audit (id bigserial, key text, state text)");
  for (const statement of AUDITING) await stage.client.query(statement);
  await using second = await openNodePostgres(stage.url, { max: 3 });
  await using other = new PostgresCircuitBreakerStore(second.client);
  const stores = [stage.writer, other];
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const watcher = stage.watcher(10, hears?.(random));
  const watches = [{ changes: watcher.watch(), reported: [] as CircuitChange[], skipped: 0 }];
  let syncs = 0;
  /** Waits until all changes are reported: a change after all others has been looked at. */
  const sync = async () => {
    await stage.writer.transition("sync", syncs++ % 2 === 0 ? "open" : "closed");
    const expected = await expectedSteps(stage.sql);
    for (const { changes, reported, skipped } of watches) {
      reported.push(...await take(changes, expected.length - skipped - reported.length));
      assertEquals(byKey(reported), byKey(expected.slice(skipped)));
    }
    return expected.length;
  };
  await sync();
  for (let round = 0; round < 25; round++) {
    await Promise.all(Array.from({ length: Math.ceil(random() * 14) }, () => {
      const [store, key] = [pick(stores), pick(KEYS)];
      switch (pick(["move", "move", "move", "force", "release", "fail", "reset"])) {
        case "move":
          return store.transition(key, pick<CircuitState>(["closed", "open", "half-open"]));
        case "force":
          return random() < 0.5 ? store.forceOpen(key) : store.forceClosed(key);
        case "release":
          return store.release(key);
        case "reset":
          return store.reset(key);
        default:
          return store.recordFailure(key);
      }
    }));
    const total = await sync();
    const first = watches[0]!;
    if (round % 5 === 4) {
      // Another process watches on from the last change that this one has reported.
      await first.changes.return?.();
      first.changes = watcher.watch({ after: first.reported.at(-1)!.cursor });
    }
    if (round === 10) {
      const { cursor } = first.reported.at(-1)!;
      watches.push({ changes: watcher.watch({ after: cursor }), reported: [], skipped: total });
    }
  }
  const history = await other.history({ limit: 10_000 });
  const shown = history.filter(({ from, to }) => from !== to);
  assertEquals(shown.length, watches[0]!.reported.length);
  assertEquals(byKey(shown), byKey(watches[0]!.reported));
}

const KEYS = ["a", "b", "c"];

/** Notes the visible state of each circuit, independently of the log. */
const AUDITING = [
  `create function note() returns trigger language plpgsql as $$
  begin
    insert into audit (key, state) values (new.key, coalesce(new.forced_state, new.state));
    return null;
  end $$`,
  `create trigger note after insert or update on ${TABLE} for each row execute function note()`,
];

/** The changes to report, from the audit; in order for each circuit. */
async function expectedSteps(
  sql: Awaited<ReturnType<typeof openPostgresJs>>["raw"],
): Promise<Step[]> {
  const rows = await sql<{ key: string; state: CircuitState }[]>`
    select key, state from audit order by id`;
  const states = new Map<string, CircuitState>();
  return rows.flatMap(({ key, state }) => {
    const from = states.get(key) ?? "closed";
    states.set(key, state);
    return from === state ? [] : [{ key, from, to: state }];
  });
}

function byKey(steps: readonly Step[]): Record<string, string[]> {
  return Object.fromEntries(
    [...KEYS, "sync"].map((key) => [key, words(steps.filter((step) => step.key === key))]),
  );
}

/** Waits until the server's clock is in another millisecond: a change is new by its millisecond. */
async function tick(sql: Awaited<ReturnType<typeof openPostgresJs>>["raw"]): Promise<void> {
  const now = async () =>
    Number((await sql`select date_part('epoch', clock_timestamp()) * 1000 as ms`)[0]!.ms);
  for (const begin = await now(); await now() < begin + 1;);
}

/** A client whose statements wait while it is held. */
function holding(client: PostgresClient) {
  let gate: PromiseWithResolvers<void> | undefined;
  const held: PromiseWithResolvers<void> = Promise.withResolvers();
  return {
    hold: () => void (gate = Promise.withResolvers()),
    /** Resolves when a statement waits. */
    held: held.promise,
    release: () => gate?.resolve(),
    async query(text: string, params?: unknown[]) {
      if (gate !== undefined) {
        held.resolve();
        await gate.promise;
      }
      return await client.query(text, params);
    },
  };
}

Deno.test("watch misses nothing in its first moments, whatever the caller's clock says", async () => {
  const real = Date.now;
  for (const skewMs of [3_600_000, -3_600_000]) {
    await using stage = await openStage();
    const client = holding(stage.client);
    await using watcher = new PostgresCircuitBreakerStore(client, TABLE);
    await stage.writer.transition("before", "open");
    Date.now = () => real.call(Date) + skewMs;
    try {
      await tick(stage.sql);
      client.hold();
      const changes = watcher.watch();
      await client.held;
      await stage.writer.transition("api", "open");
      await stage.writer.transition("api", "half-open");
      client.release();
      await stage.writer.transition("api", "closed");
      const taken = await take(changes, 3);
      assertEquals(words(taken), ["api closed>open", "api open>half-open", "api half-open>closed"]);
      for (const { at } of taken) assert(Math.abs(at - Date.now()) < 60_000, `${at} ${Date.now()}`);
      const [first] = await watcher.history({ since: Date.now() - 60_000 });
      assertEquals(first?.key, "before");
      assertEquals(await watcher.history({ since: Date.now() + 60_000 }), []);
    } finally {
      Date.now = real;
    }
  }
});

Deno.test("history since a moment of the caller's clock is right for a store's first call, too", async () => {
  const real = Date.now;
  await using stage = await openStage();
  await stage.writer.transition("api", "open");
  Date.now = () => real.call(Date) + 3_600_000;
  try {
    const history = async (sinceMs: number) => {
      await using fresh = new PostgresCircuitBreakerStore(stage.client, TABLE);
      return await fresh.history({ since: Date.now() + sinceMs });
    };
    assertEquals([(await history(-60_000)).length, (await history(60_000)).length], [1, 0]);
  } finally {
    Date.now = real;
  }
});

Deno.test("watch delivers a change that commits late, once, and waits for none", async () => {
  await using stage = await openStage();
  const { writer, sql } = stage;
  const changes = stage.watcher(20).watch();
  await begun(changes, writer);
  await using foreign = await openPostgresJs(stage.url, { max: 1 });
  const [commits, rollsBack] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  /** Opens a circuit in a transaction that stays open; returns what waits for its end. */
  const inTransaction = async (key: string, end: Promise<void>, isKept: boolean) => {
    const began = Promise.withResolvers<void>();
    const done = sql.begin(async (transaction) => {
      await using store = new PostgresCircuitBreakerStore({
        query: async (text, params = []) => ({
          rows: [...await transaction.unsafe(text, params as string[])],
        }),
      }, TABLE);
      await store.transition(key, "open");
      began.resolve();
      await end;
      if (!isKept) throw new Error("rolled back");
    }).catch((error) => {
      if (error.message !== "rolled back") throw error;
    });
    await began.promise;
    return { done };
  };
  // The numbers of these two come before those of all others. A third writes nothing and stays open.
  const late = await inTransaction("late", commits.promise, true);
  const lost = await inTransaction("lost", rollsBack.promise, false);
  await foreign.client.query("begin");
  await foreign.client.query("select pg_current_xact_id()");
  await writer.transition("api", "open");
  assertEquals(words(await take(changes, 1)), ["api closed>open"]);
  rollsBack.resolve();
  await lost.done;
  await writer.transition("api", "half-open");
  assertEquals(words(await take(changes, 1)), ["api open>half-open"]);
  commits.resolve();
  await late.done;
  assertEquals(words(await take(changes, 1)), ["late closed>open"]);
  await writer.transition("api", "closed");
  assertEquals(words(await take(changes, 1)), ["api half-open>closed"]);
  await foreign.client.query("rollback");
});

Deno.test("watch says that changes may be missing when the log is another one, and goes on", async () => {
  await using stage = await openStage();
  const { writer } = stage;
  const breaks: WatchBreak[] = [];
  const changes = stage.watcher(20).watch({ onBreak: (event) => breaks.push(event) });
  await begun(changes, writer);
  assertEquals(breaks, []);
  await stage.client.query(`truncate ${TABLE}_changes`);
  await writer.transition("api", "open");
  assertEquals(words(await take(changes, 1)), ["api closed>open"]);
  assertEquals(breaks.length, 1);
  assert(Math.abs(breaks[0]!.at - Date.now()) < 60_000);
  await writer.transition("api", "closed");
  assertEquals(words(await take(changes, 1)), ["api open>closed"]);
  assertEquals(breaks.length, 1);
});

Deno.test("watch of a missing table rejects the first time, and is over", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 2 });
  await using store = new PostgresCircuitBreakerStore(listening(driver.client, database.url));
  const changes = store.watch();
  assert(isSchemaError(await failureOf(() => changes.next())));
  assertEquals((await changes.next()).done, true);
  assertEquals((await store.watch({ signal: AbortSignal.abort() }).next()).done, true);
});

Deno.test("watch ends with its signal, its loop and its store, and stops listening", async () => {
  await using stage = await openStage();
  const { writer, sql } = stage;
  const controller = new AbortController();
  const store = stage.watcher(NEVER, () => true);
  const [one, two, three] = [
    store.watch({ signal: controller.signal }),
    store.watch(),
    store.watch(),
  ];
  for (const [i, each] of [one, two, three].entries()) {
    await writer.transition("api", i % 2 === 0 ? "open" : "closed");
    await each.next();
  }
  assertEquals(await listeners(sql), 1);
  const waiting = (async () => {
    for await (const _ of one);
  })();
  await take(one, 0);
  controller.abort();
  await waiting;
  for await (const { key } of two) {
    assertEquals(key, "api");
    break;
  }
  assertEquals((await two.next()).done, true);
  await store.close();
  assertEquals((await three.next()).done, true);
  assertEquals((await store.watch().next()).done, true);
  while (await listeners(sql) > 0);
});

Deno.test("watch on PGlite hears of changes by its own listen", async () => {
  await using driver = await openPglite();
  await migrate(driver.raw);
  await using writer = new PostgresCircuitBreakerStore(driver.raw);
  await using watcher = new PostgresCircuitBreakerStore(driver.raw, TABLE, {
    maxStalenessMs: NEVER,
  });
  const changes = watcher.watch();
  await begun(changes, writer, "api");
  await writer.transition("api", "half-open");
  await writer.reset("api");
  assertEquals(words(await take(changes, 2)), ["api open>half-open", "api half-open>closed"]);
});

Deno.test("a process that watched ends by itself once the signal has aborted", async () => {
  await using stage = await openStage();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-lock", "--no-check", "tests/feed/watch_program.ts"],
    env: { WATCHED_URL: stage.url },
    stdin: "null",
    signal: AbortSignal.timeout(30_000),
  }).output();
  const decoder = new TextDecoder();
  assertEquals(
    [success, decoder.decode(stdout)],
    [true, "api open\nover\n"],
    decoder.decode(stderr),
  );
});
