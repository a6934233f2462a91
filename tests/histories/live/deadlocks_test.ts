import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../../mod.ts";
import { fromPostgresJs } from "../../../src/adapters/postgres_js.ts";
import { openDriver } from "../../faults/drivers.ts";
import { DRIVERS } from "../../faults/messages.ts";
import { connect, createDatabase } from "../../support/database.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres_server.ts";
import { randomOf } from "../../support/random.ts";
import { burst } from "../bursts.ts";
import { LOG_SETTINGS, readErrors } from "../server_log.ts";

const SECONDS = Math.min(60, Number(Deno.env.get("HISTORIES_SECONDS") || "10"));
const SEED = Number(Deno.env.get("HISTORIES_SEED") || Date.now() % 1_000_000);

/** Pools of four connections: 16 in all. */
const POOLS = 4;
const CONNECTIONS = 4;
const CALLERS = 3;

/** Long for a machine that is busy: a deadlock is in the log, and not in a time. */
const TIMEOUT_MS = 20_000;

/** How much longer a busy machine may take until what is rare has happened. */
const LONGER_MS = 60_000;

/** Foreign statements, each on one row: they wait, and no other waits for two of theirs. */
const FOREIGN_EVERY_MS = 20;

let server: PostgresServer;
Deno.test.beforeAll(async () => {
  server = await startPostgres({ settings: LOG_SETTINGS });
});
Deno.test.afterAll(() => server.stop());

Deno.test("server log: a deadlock made on purpose is in it", async () => {
  await using database = await createDatabase(server.url);
  await using one = connect(database.url, { connection: { application_name: "on purpose" } });
  await using other = connect(database.url, { connection: { application_name: "on purpose" } });
  await one`create table pair (id int primary key)`;
  await one`insert into pair values (1), (2)`;
  const both = Promise.withResolvers<void>();
  let held = 0;
  const cross = (sql: typeof one, first: number, second: number) =>
    sql.begin(async (sql) => {
      await sql`select from pair where id = ${first} for update`;
      if (++held === 2) both.resolve();
      await both.promise;
      await sql`select from pair where id = ${second} for update`;
    });
  const results = await Promise.allSettled([cross(one, 1, 2), cross(other, 2, 1)]);
  assertEquals(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const found = (await readErrors(server)).filter(({ sqlState }) => sqlState === "40P01");
  assertEquals(found.map(({ application }) => application), ["on purpose"]);
});

Deno.test(`deadlocks: ${SECONDS} s of all statements against all (seed ${SEED})`, async () => {
  const random = randomOf(SEED);
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase(server.url));
  const sql = cleanup.use(connect(database.url));
  await migrate(fromPostgresJs(sql));
  const stores = openStores(database.url, cleanup);
  const counts = new Map<string, number>();
  const errors = new Set<string>();
  const end = performance.now() + SECONDS * 1000;
  const causes = new Set<string>();
  const isOver = () => {
    const hasMetAll = causes.has(FLUSHED) && causes.has("external") && causes.has("expiry");
    return performance.now() > end + (hasMetAll ? 0 : LONGER_MS);
  };
  const calling = stores.flatMap((store) =>
    Array.from({ length: CALLERS }, async () => {
      while (!isOver()) {
        const { name, calls } = burst(store, random);
        const results = await Promise.allSettled(calls);
        counts.set(name, (counts.get(name) ?? 0) + results.length);
        for (const result of results) {
          if (result.status === "rejected") errors.add(`${name}: ${result.reason}`);
        }
      }
    })
  );
  await Promise.all([...calling, foreign(sql, random, isOver, causes)]);
  await Promise.all(stores.map((store) => store.close()));

  const [facts] = await sql`select
    (select count(*)::int from stoma_circuit_breakers_instances where flush > 0) as flushing,
    (select count(*)::int from stoma_circuit_breakers_changes) as logged,
    (select last_value::int from stoma_circuit_breakers_versions) as versions`;
  console.log("calls:", Object.fromEntries(counts), "facts:", facts, causes);
  assertEquals([...errors], [], `seed ${SEED}`);
  const logged = (await readErrors(server)).filter(({ application }) =>
    application !== "on purpose"
  );
  assertEquals(logged, [], `seed ${SEED}`);
  // What is rare did happen.
  assert(causes.has(FLUSHED), "no flush");
  assert(causes.has("external") && causes.has("expiry"), "nothing was noticed");
  assert(facts!.versions > facts!.logged, "no row of the log was pruned");
});

/** Two stores on each pool: with and without a cache, and all prune and trim. */
function openStores(
  url: string,
  cleanup: AsyncDisposableStack,
): PostgresCircuitBreakerStore[] {
  return Array.from({ length: POOLS }, (_, at) => {
    const { client } = cleanup.use(
      openDriver(DRIVERS[at % DRIVERS.length]!, url, CONNECTIONS, TIMEOUT_MS + 200),
    );
    return [0, 50].map((maxStalenessMs) =>
      new PostgresCircuitBreakerStore(client, {
        timeoutMs: TIMEOUT_MS,
        resetTimeoutMs: 50,
        probeTimeoutMs: 100,
        failureThreshold: 3,
        maxStalenessMs,
        ...maxStalenessMs > 0 && { countWithinMs: 100 },
        historyRows: 500,
        pruneIdleMs: 1000,
        maxCircuits: 300,
        instanceId: `${at} ${maxStalenessMs}`,
      })
    );
  }).flat();
}

/** What {@linkcode foreign} collects beside the causes in the log. */
const FLUSHED = "a flush";

/** Changes rows by plain SQL, which readers then notice, and collects the causes in the log. */
async function foreign(
  sql: ReturnType<typeof connect>,
  random: () => number,
  isOver: () => boolean,
  causes: Set<string>,
): Promise<void> {
  while (!isOver()) {
    await sql`update stoma_circuit_breakers set state = case state when 'open' then 'closed' else 'open' end
      where key = ${`k${Math.floor(random() * 100)}`}`;
    const rows = await sql<{ cause: string }[]>`
      select distinct cause from stoma_circuit_breakers_changes
      union select ${FLUSHED} from stoma_circuit_breakers_instances where flush > 0`;
    for (const { cause } of rows) causes.add(cause);
    await new Promise((resolve) => setTimeout(resolve, FOREIGN_EVERY_MS));
  }
}
