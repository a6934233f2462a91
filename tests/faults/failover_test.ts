import { assert, assertEquals } from "@std/assert";
import { isStoreUnavailableError, migrate } from "../../mod.ts";
import { connect } from "../support/database.ts";
import { startPostgres } from "../support/postgres_server.ts";
import { openDriver } from "./drivers.ts";
import { assertAccounted, Instance } from "./instance.ts";
import { Noise } from "./noise.ts";
import { startStandby } from "./standby.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const RECOVERY_WITHIN_MS = 2000;
const ASKED_WITHIN_MS = 30_000;
const CALLS = 200;
const DRIVERS = ["postgres.js", "node-postgres"] as const;

Deno.test("every instance follows a failover, and no acknowledged count is lost", async () => {
  await using resources = new AsyncDisposableStack();
  const primary = resources.use(await startPostgres());
  const standby = resources.use(await startStandby(primary));
  const proxy = resources.use(TcpProxy.start(primary.url));
  const url = proxy.urlOf(primary.url);
  await prepare(primary.url);

  const start = (onOutage: "throw" | "local", suffix = "") =>
    Promise.all(DRIVERS.map(async (driver) =>
      resources.use(
        await Instance.start({
          url,
          name: `${driver} ${onOutage}${suffix}`,
          onOutage,
          open: (url) => openDriver(driver, url),
        }),
      )
    ));
  const veterans = [...await start("throw"), ...await start("local")];
  await Promise.all(veterans.map((instance) => instance.acknowledge(CALLS)));

  // The primary is gone, and the name it was known by leads to a standby that only reads.
  const { exited } = primary;
  primary.signal("SIGKILL");
  await exited;
  proxy.redirect(standby.url);
  await Promise.all(veterans.map((instance) => instance.lost));
  const newcomers = await start("throw", " late");
  await Promise.all(newcomers.map(async (instance) => {
    const cause = await instance.lost;
    assert(isStoreUnavailableError(cause), `${cause}`);
    assertEquals(cause.sqlState, "25006");
  }));

  const everyone = [...veterans, ...newcomers];
  // All of them have asked the standby, and none took it for a database that is back.
  await using onStandby = connect(standby.url);
  await everyoneAsked(onStandby, everyone);
  for (const instance of everyone) {
    assert(instance.isOut, `${instance.name} took a standby for its database`);
  }

  await standby.promote();
  using noise = new Noise();
  const promoted = performance.now();
  for (const instance of everyone) {
    await instance.recovered;
    const took = performance.now() - promoted - noise.total();
    assert(took < RECOVERY_WITHIN_MS, `${instance.name} came back after ${took} ms`);
  }
  await Promise.all(everyone.map((instance) => instance.acknowledge(CALLS)));

  for (const instance of everyone) {
    const account = await instance.end();
    const [row] = await onStandby<{ count: string }[]>`
      select success_count as count from circuits where key = ${instance.name}`;
    assertAccounted(instance.name, account, Number(row!.count));
  }
});

async function prepare(url: string): Promise<void> {
  await using sql = connect(url);
  await migrate({ query: async (text) => ({ rows: await sql.unsafe(text) }) }, "circuits");
}

/**
 * Resolves when each instance has had a connection to the standby on which it asked something. Stores
 * close such connections: each look at the server finds those of some.
 */
async function everyoneAsked(
  standby: ReturnType<typeof connect>,
  instances: Instance[],
): Promise<void> {
  const missing = new Set(instances.map(({ name }) => name));
  const givenUpAt = performance.now() + ASKED_WITHIN_MS;
  while (missing.size > 0) {
    assert(performance.now() < givenUpAt, `${[...missing]} did not ask the standby`);
    const rows = await standby<{ name: string }[]>`
      select distinct application_name as name from pg_stat_activity
      where application_name = any(${[...missing]}) and query like '%transaction_read_only%'`;
    for (const { name } of rows) missing.delete(name);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
