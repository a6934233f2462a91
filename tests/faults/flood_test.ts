import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { startPostgres } from "../support/postgres_server.ts";

const MAX_CIRCUITS = 10_000;
const INSTANCES = 2;
const PATHS = 1_000_000;
const IN_FLIGHT = 500;
const SAMPLE_MS = 250;

Deno.test("a million random paths do not make the table grow without end", async () => {
  // A server of its own, with the autovacuum that every server has.
  await using server = await startPostgres({ settings: { autovacuum: "on" } });
  await using database = await createDatabase(server.url);
  await using sql = connect(database.url);
  await using cleanup = new AsyncDisposableStack();
  const stores: PostgresCircuitBreakerStore[] = [];
  for (let index = 0; index < INSTANCES; index++) {
    const driver = cleanup.use(await openPostgresJs(database.url, { max: 4 }));
    if (index === 0) await migrate(driver.client);
    stores.push(
      cleanup.use(
        new PostgresCircuitBreakerStore(driver.client, undefined, {
          maxCircuits: MAX_CIRCUITS,
          timeoutMs: 10_000,
        }),
      ),
    );
  }
  const [store] = stores;
  await store!.transition("broken", "open");
  await store!.forceClosed("forced");

  let most = 0, isFlooding = true;
  const watching = (async () => {
    while (isFlooding) {
      const [row] = await sql`select count(*)::int as circuits from stoma_circuit_breakers`;
      most = Math.max(most, row!.circuits);
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  let sent = 0;
  const flood = async (own: PostgresCircuitBreakerStore) => {
    while (sent < PATHS) {
      const path = `/${sent++}/${crypto.randomUUID()}`;
      await own.recordFailure(path);
      // A circuit that is in use all the time.
      if (sent % 200 === 0) await own.recordSuccess("busy");
    }
  };
  const callers = stores.flatMap((own) =>
    Array.from({ length: IN_FLIGHT / INSTANCES }, () => flood(own))
  );
  await Promise.all(callers);
  isFlooding = false;
  await watching;

  // The flood goes on while one instance trims, and each may add a tenth before it begins.
  assert(most <= PATHS / 5, `${most} circuits`);
  const end = performance.now() + 20_000;
  for (let circuits = Infinity; circuits > MAX_CIRCUITS * (1 + INSTANCES / 10);) {
    assert(performance.now() < end, `${circuits} circuits are left`);
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    const [row] = await sql`select count(*)::int as circuits from stoma_circuit_breakers`;
    circuits = row!.circuits;
  }
  assertEquals((await store!.getState("broken")).state, "open");
  assertEquals((await store!.list({ after: "a" })).filter(({ forced }) => forced).length, 1);
  const { successCount } = await store!.getState("busy");
  assert(successCount >= PATHS / 200, `${successCount} successes of the busy circuit`);
});
