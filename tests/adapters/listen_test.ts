import { assert, assertEquals, assertRejects } from "@std/assert";
import type { PostgresClient } from "../../mod.ts";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import {
  type OpenClient,
  openNodePostgres,
  openPglite,
  openPostgresJs,
} from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";

const CHANNEL = "circuit_breaker_1";
type Open = (url: string, options?: { max?: number }) => Promise<OpenClient<unknown>>;
const DRIVERS: Record<string, Open> = {
  "postgres.js": openPostgresJs,
  "node-postgres": openNodePostgres,
};

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 10_000; !condition();) {
    if (performance.now() > end) throw new Error(`Expected in 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a client hears on a channel. */
async function hear(client: PostgresClient, channel = CHANNEL) {
  const heard: string[] = [];
  const unlisten = await client.listen!(channel, (payload) => heard.push(payload));
  let losses = 0;
  void unlisten.lost?.then(() => losses++);
  return { heard, unlisten, losses: () => losses };
}

for (const [name, open] of Object.entries(DRIVERS)) {
  Deno.test(`${name} hears a channel in order, and nothing of others`, async () => {
    await using database = await createDatabase();
    await using sql = connect(database.url);
    await using driver = await open(database.url, { max: 1 });
    const one = await hear(driver.client);
    const other = await hear(driver.client);
    const elsewhere = await hear(driver.client, "circuit_breaker_2");
    const sent = Array.from({ length: 50 }, (_, index) => `${index}`);
    for (const payload of sent) await sql`select pg_notify(${CHANNEL}, ${payload})`;
    await until(() => other.heard.length === 50 && one.heard.length === 50, "50 payloads each");
    assertEquals([one.heard, other.heard, elsewhere.heard], [sent, sent, []]);

    await one.unlisten();
    await one.unlisten();
    await sql`select pg_notify(${CHANNEL}, 'more')`;
    await until(() => other.heard.length === 51, "the other one goes on");
    assertEquals(one.heard.length, 50);
    // The pool's only connection is free for others.
    const { rows } = await driver.client.query("select 1 as one");
    assertEquals(Number(rows[0]!.one), 1);
    await other.unlisten();
    await elsewhere.unlisten();
    assertEquals([one.losses(), other.losses(), elsewhere.losses()], [0, 0, 0]);
    const again = await hear(driver.client);
    await sql`select pg_notify(${CHANNEL}, 'again')`;
    await until(() => again.heard.length === 1, "a channel that was left can be heard again");
    await again.unlisten();
  });

  Deno.test(`${name} says when its connection is lost, once, and listens anew when asked to`, async () => {
    await using database = await createDatabase();
    await using sql = connect(database.url);
    await using driver = await open(database.url);
    for (let turn = 0; turn < 3; turn++) {
      const one = await hear(driver.client);
      const other = await hear(driver.client);
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`;
      await until(() => one.losses() === 1 && other.losses() === 1, "both are told");
      await one.unlisten();
      const anew = await hear(driver.client);
      await sql`select pg_notify(${CHANNEL}, 'anew')`;
      await until(() => anew.heard.length === 1, "heard anew");
      await new Promise((resolve) => setTimeout(resolve, 50));
      assertEquals([one.heard, other.heard, anew.heard], [[], [], ["anew"]]);
      assertEquals([one.losses(), other.losses(), anew.losses()], [1, 1, 0]);
      await other.unlisten();
      await anew.unlisten();
    }
  });

  Deno.test(`${name} refuses to listen where nobody answers, and can later`, async () => {
    await using database = await createDatabase();
    await using sql = connect(database.url);
    await using proxy = TcpProxy.start(database.url);
    await using driver = await open(proxy.urlOf(database.url));
    const before = await hear(driver.client);
    await proxy.refuse();
    proxy.cut();
    await until(() => before.losses() === 1, "the cut is told");
    for (let attempt = 0; attempt < 3; attempt++) {
      await assertRejects(() => hear(driver.client));
    }
    await proxy.resume();
    const after = await hear(driver.client);
    await sql`select pg_notify(${CHANNEL}, 'back')`;
    await until(() => after.heard.length === 1, "heard again");
    await after.unlisten();
  });
}

Deno.test("PGlite listens through the adapter", async () => {
  await using driver = await openPglite();
  const { heard, unlisten } = await hear(driver.client);
  await driver.client.query("select pg_notify($1::text, 'here')", [CHANNEL]);
  await until(() => heard.length === 1, "heard");
  await unlisten();
  await driver.client.query("select pg_notify($1::text, 'gone')", [CHANNEL]);
  assertEquals(heard, ["here"]);
});

Deno.test("what has one connection and no more cannot listen", async () => {
  await using database = await createDatabase();
  await using js = await openPostgresJs(database.url);
  await js.raw.begin(async (transaction) => {
    assertEquals(fromPostgresJs(transaction).listen, undefined);
    await transaction`select 1`;
  });
  assertEquals(fromPostgresJs(js.raw, { prepare: false }).listen, undefined);
  await using node = await openNodePostgres(database.url);
  assertEquals(fromNodePostgres(node.raw, { prepare: false }).listen, undefined);
  const client = await node.raw.connect();
  assertEquals(fromNodePostgres(client).listen, undefined);
  client.release();
});

for (const name of Object.keys(DRIVERS)) {
  Deno.test(`a process that listened on ${name} ends when it has closed everything`, async () => {
    await using database = await createDatabase();
    const url = JSON.stringify(database.url);
    const open = name === "postgres.js"
      ? `import postgres from "postgres";
         import { fromPostgresJs as from } from "./src/adapters/postgres_js.ts";
         const raw = postgres(${url}, { max: 1, idle_timeout: 0.1, fetch_types: false });`
      : `import pg from "pg";
         import { fromNodePostgres as from } from "./src/adapters/node_postgres.ts";
         const raw = new pg.Pool({ connectionString: ${url}, idleTimeoutMillis: 100 });`;
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        "--cached-only",
        `${open}
         const unlisten = await from(raw).listen("here", () => {});
         await from(raw).query("select 1");
         await unlisten();`,
      ],
      cwd: new URL("../..", import.meta.url),
      stdout: "null",
      stderr: "piped",
      signal: AbortSignal.timeout(15_000),
    }).output();
    assert(code === 0, new TextDecoder().decode(stderr));
  });
}
