import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type CircuitChange,
  type CircuitState,
  isSchemaError,
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
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

/** What is left of a change when it is compared. */
type Step = Pick<CircuitChange, "key" | "from" | "to" | "version">;

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

/** The next `count` changes, without their times. */
async function take(changes: AsyncIterator<CircuitChange>, count: number): Promise<Step[]> {
  const taken: Step[] = [];
  while (taken.length < count) taken.push(stepOf((await changes.next()).value));
  return taken;
}

function stepOf({ key, from, to, version }: CircuitChange): Step {
  return { key, from, to, version };
}

/** Steps in words: `api closed>open 1`. */
function words(steps: Step[]): string[] {
  return steps.map(({ key, from, to, version }) => `${key} ${from}>${to} ${version}`);
}

/** Resolves once a watch reports a change of another circuit: by then it listens. */
async function begun(
  changes: AsyncIterator<CircuitChange>,
  writer: PostgresCircuitBreakerStore,
  key = "begin",
): Promise<void> {
  await writer.transition(key, "open");
  assertEquals(words(await take(changes, 1)), [`${key} closed>open 1`]);
}

Deno.test("watch reports forces, releases and resets that change the visible state", async () => {
  await using stage = await openStage();
  const { writer } = stage;
  await writer.transition("before", "open");
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
    "api closed>open 2",
    "api open>closed 3",
    "api closed>open 4",
    "api open>closed 6",
    "api closed>open 7",
  ]);
  await writer.reset("api");
  assertEquals(words(await take(changes, 1)), ["api open>closed 0"]);
  await writer.transition("before", "closed");
  assertEquals(words(await take(changes, 1)), ["before open>closed 2"]);
});

Deno.test("watch reports the end of a forced state that runs out", async () => {
  await using stage = await openStage();
  const changes = stage.watcher(20).watch();
  await begun(changes, stage.writer);
  const { lastStateChange } = await stage.writer.forceOpen("api", { forMs: 100 });
  const [first, last] = [(await changes.next()).value, (await changes.next()).value];
  assertEquals(words([first, last]), ["api closed>open 1", "api open>closed 1"]);
  assert(Math.abs(first.at - lastStateChange) <= 1, `${first.at} ${lastStateChange}`);
  assert(Math.abs(last.at - lastStateChange - 100) <= 2, `${last.at} ${lastStateChange}`);
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
  assertEquals(words(await take(changes, 1)), ["api open>half-open 2"]);
  await writer.reset("api");
  assertEquals(words(await take(changes, 1)), ["api half-open>closed 0"]);
});

Deno.test("watch sees through a reset between two looks", async () => {
  await using stage = await openStage();
  const { writer } = stage;
  const changes = stage.watcher(NEVER, () => hears).watch();
  let hears = true;
  await begun(changes, writer, "api");
  await begun(changes, writer, "other");
  hears = false;
  await writer.transition("api", "half-open");
  await writer.reset("api");
  await writer.transition("api", "open");
  hears = true;
  await writer.transition("api", "half-open");
  assertEquals(words(await take(changes, 3)), [
    "api open>closed 0",
    "api closed>open 1",
    "api open>half-open 2",
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
    assertEquals(words(await take(changes, 1)), [`api ${from}>${to} ${i}`]);
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
      "api open>half-open 2",
      "api half-open>closed 3",
    ]);
    assertEquals(outages[0], true);
    await writer.transition("api", "open");
    assertEquals(words(await take(changes, 1)), ["api closed>open 4"]);
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
  await proxy.refuse();
  proxy.cut();
  assert(await failureOf(() => watcher.peek("not in memory")));
  const changes = watcher.watch();
  await new Promise((resolve) => setTimeout(resolve, 5)); // for clocks that tick in milliseconds
  await stage.writer.transition("api", "closed");
  await proxy.resume();
  assertEquals(words(await take(changes, 1)), ["api open>closed 2"]);
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
  assertEquals(words(await take(changes, 1)), ["api open>closed 2"]);
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
  await stage.client.query("create table log (id bigserial, key text, state text, version bigint)");
  for (const statement of LOGGING) await stage.client.query(statement);
  await using second = await openNodePostgres(stage.url, { max: 3 });
  await using other = new PostgresCircuitBreakerStore(second.client);
  const stores = [stage.writer, other];
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const watcher = stage.watcher(10, hears?.(random));
  const watches = [{ changes: watcher.watch(), reported: [] as Step[], skipped: 0 }];
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
    // A reset drops changes that no watch has looked at yet, so it follows a sync.
    if (random() < 0.4) await pick(stores).reset(pick(KEYS));
    await Promise.all(Array.from({ length: Math.ceil(random() * 14) }, () => {
      const [store, key] = [pick(stores), pick(KEYS)];
      switch (pick(["move", "move", "move", "force", "release", "fail"])) {
        case "move":
          return store.transition(key, pick<CircuitState>(["closed", "open", "half-open"]));
        case "force":
          return random() < 0.5 ? store.forceOpen(key) : store.forceClosed(key);
        case "release":
          return store.release(key);
        default:
          return store.recordFailure(key);
      }
    }));
    const total = await sync();
    if (round === 10) {
      await new Promise((resolve) => setTimeout(resolve, 5)); // clocks tick in milliseconds
      watches.push({ changes: watcher.watch(), reported: [], skipped: total });
      await new Promise((resolve) => setTimeout(resolve, 5));
      await sync();
    }
  }
}

const KEYS = ["a", "b", "c"];

/** Logs the visible state of each circuit, independently of the history in its row. */
const LOGGING = [
  `create function note() returns trigger language plpgsql as $$
  begin
    if TG_OP = 'DELETE' then
      insert into log (key, state, version) values (old.key, 'closed', 0);
    else
      insert into log (key, state, version)
      values (new.key, coalesce(new.forced_state, new.state), new.version);
    end if;
    return null;
  end $$`,
  `create trigger note after insert or update or delete on ${TABLE}
  for each row execute function note()`,
];

/** The changes to report, from the log; in order for each circuit. */
async function expectedSteps(
  sql: Awaited<ReturnType<typeof openPostgresJs>>["raw"],
): Promise<Step[]> {
  const rows = await sql<{ key: string; state: CircuitState; version: string }[]>`
    select key, state, version::text from log order by id`;
  const states = new Map<string, CircuitState>();
  return rows.flatMap(({ key, state, version }) => {
    const from = states.get(key) ?? "closed";
    states.set(key, state);
    return from === state ? [] : [{ key, from, to: state, version: Number(version) }];
  });
}

function byKey(steps: Step[]): Record<string, string[]> {
  return Object.fromEntries(
    [...KEYS, "sync"].map((key) => [key, words(steps.filter((step) => step.key === key))]),
  );
}

Deno.test("watch of a missing table rejects the first time, and is over", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 2 });
  await using store = new PostgresCircuitBreakerStore(listening(driver.client, database.url));
  const changes = store.watch();
  assert(isSchemaError(await failureOf(() => changes.next())));
  assertEquals((await changes.next()).done, true);
  assertEquals((await store.watch({ signal: AbortSignal.abort() }).next()).done, true);
});

Deno.test("watch refuses options that it cannot use", async () => {
  await using stage = await openStage();
  const wrong: [options: unknown, message: RegExp][] = [
    [null, /^Cannot watch circuits: "options" must be a plain object, received null$/],
    [
      { singal: 5 },
      /^Cannot watch circuits: "signal" must be spelt exactly so, received a similar/,
    ],
    [{ signal: 5 }, /^Cannot watch circuits: "signal" must be an AbortSignal, received 5$/],
    [{ signal: null }, /"signal" must be an AbortSignal, received null$/],
    [{ signal: {} }, /"signal" must be an AbortSignal, received an object$/],
  ];
  for (const [options, message] of wrong) {
    const error = await failureOf(() => stage.writer.watch(options as { signal: AbortSignal }));
    assert(error instanceof TypeError, String(error));
    assertMatch(error.message, message);
  }
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
  assertEquals(words(await take(changes, 2)), ["api open>half-open 2", "api half-open>closed 0"]);
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
