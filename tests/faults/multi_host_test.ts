import { assert, assertEquals } from "@std/assert";
import { migrate } from "../../mod.ts";
import { connect } from "../support/database.ts";
import { startPostgres } from "../support/postgres_server.ts";
import { openDriver } from "./drivers.ts";
import { assertAccounted, Instance } from "./instance.ts";
import { Noise } from "./noise.ts";
import { startStandby } from "./standby.ts";

const RECOVERY_WITHIN_MS = 2000;
const CALLS = 200;

/** One connection string for several servers, as postgres.js takes it. It is no URL. */
function severalHosts(urls: string[], attributes: string): string {
  const hosts = urls.map((url) => new URL(url).host).join();
  return `postgres://postgres@${hosts}/postgres?target_session_attrs=${attributes}`;
}

async function serverPort(url: string): Promise<string> {
  await using driver = openDriver("postgres.js", url, 1);
  const { rows } = await driver.client.query("select current_setting('port') as port");
  return String(rows[0]!.port);
}

Deno.test("postgres.js with several hosts follows a failover to the next of them", async () => {
  await using resources = new AsyncDisposableStack();
  const primary = resources.use(await startPostgres());
  const standby = resources.use(await startStandby(primary));
  await using sql = connect(primary.url);
  await migrate({ query: async (text) => ({ rows: await sql.unsafe(text) }) }, "circuits");

  const hosts = [standby.url, primary.url];
  assertEquals(await serverPort(severalHosts(hosts, "primary")), new URL(primary.url).port);
  // The driver asks for default_transaction_read_only alone, which is off on a standby too.
  assertEquals(await serverPort(severalHosts(hosts, "read-write")), new URL(standby.url).port);

  const url = severalHosts(hosts, "primary");
  const instances = await Promise.all(
    (["throw", "local"] as const).map(async (onOutage) =>
      resources.use(
        await Instance.start({
          url: primary.url,
          name: `several hosts ${onOutage}`,
          onOutage,
          open: () => openDriver("postgres.js", url),
        }),
      )
    ),
  );
  await Promise.all(instances.map((instance) => instance.acknowledge(CALLS)));

  const { exited } = primary;
  primary.signal("SIGKILL");
  await exited;
  await Promise.all(instances.map((instance) => instance.lost));
  await standby.promote();
  using noise = new Noise();
  const promoted = performance.now();
  for (const instance of instances) {
    await instance.recovered;
    const took = performance.now() - promoted - noise.total();
    assert(took < RECOVERY_WITHIN_MS, `${instance.name} came back after ${took} ms`);
  }
  await Promise.all(instances.map((instance) => instance.acknowledge(CALLS)));

  await using onStandby = connect(standby.url);
  for (const instance of instances) {
    const account = await instance.end();
    const [row] = await onStandby<{ count: string }[]>`
      select success_count as count from circuits where key = ${instance.name}`;
    assertAccounted(instance.name, account, Number(row!.count));
  }
});
