import { assert, assertEquals, assertMatch } from "@std/assert";
import type postgres from "postgres";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../src/types.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

const TABLE = "stoma_circuit_breakers";
const LOG_ROWS = 100_000;
const CIRCUITS = 1000;
const KEYS = Array.from({ length: 64 }, (_, index) => `circuit-${index}`);

/** PostgreSQL plans a prepared statement for its values five times before it considers one plan for all. */
const EXECUTIONS = 10;

/** From this cost on the server compiles a statement by default each time it runs, which takes longer. */
const JIT_ABOVE_COST = 100_000;

async function open() {
  const database = await createDatabase();
  const sql = connect(database.url, { max: 4 });
  const admin = connect(database.url, { max: 2 });
  const real = fromPostgresJs(sql);
  await migrate(real);
  const sent = new Map<string, unknown[]>();
  const client: PostgresClient = {
    query(text, params) {
      sent.set(text, params ?? []);
      return real.query(text, params);
    },
  };
  return {
    admin,
    client,
    sent,
    async [Symbol.asyncDispose]() {
      await admin.end({ timeout: 0 }); // a failed test does not hand its connection back
      await sql.end({ timeout: 5 });
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Each change in a transaction of its own, as in life: the ids of the log differ. */
async function fill(
  admin: postgres.Sql,
  rows: number = LOG_ROWS,
  circuits: number = CIRCUITS,
): Promise<void> {
  await admin.unsafe(`insert into ${TABLE} (key)
    select 'circuit-' || i from generate_series(0, ${circuits - 1}) as i on conflict do nothing`);
  await admin.unsafe(`insert into ${TABLE}_changes
      (version, xid, key, at, from_state, to_state, cause, actor)
    select nextval('${TABLE}_versions'), i::text::xid8, 'circuit-' || i % ${circuits}, i,
      case i / ${circuits} % 2 when 0 then 'closed' else 'open' end,
      case i / ${circuits} % 2 when 0 then 'open' else 'closed' end, 'trip', 'filled'
    from generate_series(1, ${rows}) as i`);
  // The filled ids are those of transactions that are over.
  await admin.unsafe(`do $$ begin
    while pg_snapshot_xmax(pg_current_snapshot())::text::bigint <= ${rows} loop
      perform pg_current_xact_id();
      commit;
    end loop;
  end $$`);
}

/** Uses a store until it has sent all that it sends to read the log. */
async function readLog(client: PostgresClient, sent: Map<string, unknown[]>): Promise<void> {
  await using store = new PostgresCircuitBreakerStore(client, TABLE, { maxStalenessMs: 50 });
  const end = new AbortController();
  const next = store.watch({ signal: end.signal }).next();
  await until(async () => {
    await Promise.all(KEYS.map((key) => store.getState(key)));
    return looksAt(sent).length >= 2;
  });
  await store.history({ limit: 10 });
  await store.history({ limit: 10, key: KEYS[7]! });
  await store.history({ limit: 10, since: Date.now() });
  end.abort();
  await next;
}

/** The statements that look at the log from a cursor on. */
function looksAt(sent: Map<string, unknown[]>): string[] {
  return [...sent.keys()].filter((text) =>
    /from "\w+_changes"( as \w+)?\s+where[^$]*xid >=/.test(text)
  );
}

function prepare(name: string, text: string, params: unknown[]): string {
  const types = params.length === 0 ? "" : `(${params.map(() => "text").join(", ")})`;
  return `prepare ${name} ${types} as ${text}`;
}

function execute(name: string, params: unknown[]): string {
  const values = params.map((value) =>
    value === null ? "null" : `'${String(value).replaceAll("'", "''")}'`
  );
  return `execute ${name} ${values.length === 0 ? "" : `(${values.join(", ")})`}`;
}

function planOf(rows: readonly postgres.Row[]): string {
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}

Deno.test("looks at the log use its indexes, whatever it was when they were planned", async () => {
  await using db = await open();
  await readLog(db.client, db.sent);
  const looks = looksAt(db.sent);
  assertEquals(looks.length, 2, "a refresh and a watch");
  const pages = [...db.sent.keys()].filter((text) =>
    text.includes(`from "${TABLE}_changes"`) && !looks.includes(text)
  );
  assert(pages.length >= 3, "three pages of the history");
  const reserved = await db.admin.reserve();
  await reserved`set plan_cache_mode = force_generic_plan`;
  for (
    const planned of ["never analyzed", "analyzed while it held little", "restored", "analyzed"]
  ) {
    if (planned === "analyzed while it held little") {
      await reserved.unsafe(`truncate ${TABLE}, ${TABLE}_changes`);
      await fill(db.admin, 25, 25);
      await reserved.unsafe(`vacuum (analyze) ${TABLE}, ${TABLE}_changes`);
    }
    if (planned === "restored") {
      // What a restore brings has no ids of this server: `migrate` clears them.
      await reserved.unsafe(`update ${TABLE}_changes set xid = '0'`);
      await reserved.unsafe(`vacuum (full, analyze) ${TABLE}_changes`);
    }
    // A page of the history is asked for now and then: by a plan of a table that is filled.
    const texts = planned === "analyzed" ? [...looks, ...pages] : looks;
    if (planned === "analyzed") {
      await reserved.unsafe(`update ${TABLE}_changes set xid = version::text::xid8`);
      await reserved.unsafe(`vacuum (analyze) ${TABLE}, ${TABLE}_changes`);
    }
    for (const [number, text] of texts.entries()) {
      const params = db.sent.get(text)!;
      await reserved.unsafe(prepare(`look_${number}`, text, params));
      await reserved.unsafe(execute(`look_${number}`, params));
    }
    if (planned !== "analyzed" && planned !== "restored") await fill(db.admin);
    for (const [number, text] of texts.entries()) {
      const params = db.sent.get(text)!;
      const plan = planOf(await reserved.unsafe(`explain ${execute(`look_${number}`, params)}`));
      const message = `${planned}: ${text}\n${plan}`;
      assertMatch(plan, /(Index (Only )?Scan .*|Bitmap Index Scan on )\w*_changes_/, message);
      const cost = Number(/cost=[\d.]+\.\.([\d.]+)/.exec(plan)![1]);
      assert(cost < JIT_ABOVE_COST, message);
      if (text.includes("c.logged_state >=")) {
        assertMatch(plan, /(Index Scan .*|Bitmap Index Scan on )\w*_logged_state_idx/, message);
      }
      // Neither the log nor the circuits are read whole.
      assertEquals(
        /Seq Scan on stoma_circuit_breakers(_changes)?( |$)/m.test(plan),
        false,
        message,
      );
      await reserved.unsafe(`deallocate look_${number}`);
    }
  }
  reserved.release();
});

Deno.test("no statement that is sent often is planned anew each time at more than it costs to run", async () => {
  await using db = await open();
  await fill(db.admin);
  await db.admin.unsafe("vacuum (analyze)");
  await readLog(db.client, db.sent);
  const { client, sent } = db;
  {
    await using cached = new PostgresCircuitBreakerStore(client, TABLE, {
      maxStalenessMs: 50,
      countWithinMs: 50,
    });
    await using consistent = new PostgresCircuitBreakerStore(client, TABLE, { resetTimeoutMs: 1 });
    for (let time = 0; time < 5; time++) {
      for (const store of [cached, consistent]) {
        for (const keys of [KEYS, [KEYS[0]!]]) {
          await Promise.all(keys.map((key) => store.getState(key)));
          await Promise.all(keys.map((key) => store.recordSuccess(key)));
          await Promise.all(keys.map((key) => store.recordFailure(key)));
        }
      }
      await until(async () => {
        await cached.getState(KEYS[0]!);
        return [...sent.keys()].some((text) => text.includes("left_over ="));
      });
    }
    for (const key of KEYS.slice(1)) {
      await consistent.transition(key, "open");
      await consistent.getState(key);
      await consistent.transition(key, "closed");
    }
  }
  assert(sent.size > 10, `${sent.size} statements`);
  const reserved = await db.admin.reserve();
  const costly: string[] = [];
  for (const [number, [text, params]] of [...sent].entries()) {
    // The log is pruned seldom.
    if (text.includes("row_number()")) continue;
    const name = `hot_${number}`;
    await reserved.unsafe(prepare(name, text, params));
    for (let time = 0; time < EXECUTIONS; time++) await reserved.unsafe(execute(name, params));
    const [plans] = await reserved`
      select generic_plans, custom_plans from pg_prepared_statements where name = ${name}`;
    if (Number(plans!.generic_plans) > 0) continue;
    // It is planned each time. That is as well where the plan depends on the values and pays.
    const times: [planning: number, execution: number][] = [];
    for (let time = 0; time < EXECUTIONS; time++) {
      const plan = planOf(
        await reserved.unsafe(`explain (analyze, summary, timing off) ${execute(name, params)}`),
      );
      const [planning, execution] = [/Planning Time: ([\d.]+)/, /Execution Time: ([\d.]+)/]
        .map((pattern) => Number(pattern.exec(plan)![1]));
      times.push([planning!, execution!]);
    }
    const median = (index: 0 | 1) =>
      times.map((each) => each[index]).sort((a, b) => a - b)[EXECUTIONS / 2]!;
    if (median(0) > median(1)) {
      costly.push(`planned in ${median(0)} ms, run in ${median(1)} ms: ${text}`);
    }
  }
  reserved.release();
  assertEquals(costly, [], costly.join("\n\n"));
});
