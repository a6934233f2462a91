import { assert, assertEquals, assertRejects } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import { fromNodePostgres } from "../../src/adapters/node_postgres.ts";
import { fromPglite } from "../../src/adapters/pglite.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { openNodePostgres, openPglite, openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { endListeners, Inbox, listeningContract, send } from "./listening.ts";

const OPEN = { "postgres.js": openPostgresJs, "node-postgres": openNodePostgres };

/** How long a process may take to start and to end by itself. */
const ENDS_WITHIN_MS = 20_000;

for (const [name, open] of Object.entries(OPEN)) {
  Deno.test(`listen keeps the contract: ${name}`, async (t) => {
    await using database = await createDatabase();
    const cases: { name: string; fn: () => void | Promise<void> }[] = [];
    listeningContract({ test: (name, fn) => void cases.push({ name, fn }) }, {
      name,
      open: () => open(database.url, { max: 1 }),
    });
    for (const each of cases) await t.step(each);
  });

  const networks: Record<string, (proxy: TcpProxy) => void | Promise<void>> = {
    "refuses": (proxy) => proxy.refuse(),
    "closes connections": (proxy) => proxy.turnAway(),
    "is silent": (proxy) => proxy.drop(),
  };
  for (const [network, begin] of Object.entries(networks)) {
    Deno.test(`listen rejects while the network ${network}, and works afterwards: ${name}`, async () => {
      await using database = await createDatabase();
      await using proxy = TcpProxy.start(database.url);
      await using sender = await openNodePostgres(database.url, { max: 1 });
      const { client, [Symbol.asyncDispose]: close } = await open(proxy.urlOf(database.url), {
        max: 1,
      });
      const before = await Inbox.open(client, "news");
      await begin(proxy);
      if (network === "is silent") {
        await before.unlisten();
      } else {
        proxy.cut();
        await before.lost();
      }
      const start = performance.now();
      await Promise.all([
        assertRejects(() => client.listen!("news", () => {})),
        assertRejects(() => client.listen!("news", () => {})),
        assertRejects(() => client.listen!("others", () => {})),
      ]);
      assert(performance.now() - start < 7000);
      await proxy.resume();
      proxy.cut();
      // How many attempts still meet the old connection is the driver's affair.
      let after: Inbox | undefined;
      for (let attempt = 0; attempt < 5 && after === undefined; attempt++) {
        after = await Inbox.open(client, "news").catch(() => undefined);
      }
      await send(sender.client, "news", "back");
      await after!.received("back");
      assertEquals(after!.payloads, ["back"]);
      assertEquals(before.payloads, []);
      await after!.unlisten();
      await close();
    });
  }

  for (const way of ["unlistened", "forgotten", "refused"]) {
    Deno.test(`listen does not keep a process alive: ${name}, ${way}`, async () => {
      await using database = await createDatabase();
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--allow-all",
          "--quiet",
          "--no-lock",
          new URL("./listen_program.ts", import.meta.url).href,
          name,
          way,
          way === "refused" ? "postgres://postgres@127.0.0.1:1/nothing" : database.url,
        ],
        stdin: "null",
        signal: AbortSignal.timeout(ENDS_WITHIN_MS),
      }).output();
      const decoder = new TextDecoder();
      assertEquals(
        [code, decoder.decode(stdout), decoder.decode(stderr)],
        [0, way === "refused" ? "refused\ndone\n" : "received\ndone\n", ""],
      );
    });
  }

  Deno.test(`listen is refused once the pool has ended: ${name}`, async () => {
    await using database = await createDatabase();
    await using witness = await openNodePostgres(database.url, { max: 1 });
    const { client, [Symbol.asyncDispose]: close } = await open(database.url, { max: 1 });
    await (await Inbox.open(client, "news")).unlisten();
    await close();
    for (let attempt = 0; attempt < 3; attempt++) {
      await assertRejects(() => client.listen!("news", () => {}));
    }
    await until(async () => {
      const { rows } = await witness.client.query(
        "select count(*)::int as n from pg_stat_activity where datname = current_database()",
      );
      return rows[0]!.n === 1;
    });
  });
}

Deno.test("fromPostgresJs: ending sql loses the subscription, and later attempts are refused", async () => {
  await using database = await createDatabase();
  const { client, [Symbol.asyncDispose]: close } = await openPostgresJs(database.url);
  const inbox = await Inbox.open(client, "news");
  await close();
  await inbox.lost();
  for (let attempt = 0; attempt < 3; attempt++) {
    await assertRejects(() => client.listen!("news", () => {}));
  }
  await inbox.unlisten();
});

Deno.test("fromPostgresJs leaves alone who listens to the same sql without it", async () => {
  await using database = await createDatabase();
  await using sql = connect(database.url);
  const client = fromPostgresJs(sql);
  const received: string[] = [];
  let onReceived = () => {};
  let listening = 0;
  const { unlisten } = await sql.listen("users", (payload) => {
    received.push(payload);
    onReceived();
  }, () => void listening++);
  const nextReceived = () => new Promise<void>((resolve) => onReceived = resolve);

  const own = [await Inbox.open(client, "users"), await Inbox.open(client, "own")];
  for (const inbox of own) await inbox.unlisten();
  const first = nextReceived();
  await send(client, "users", "one");
  await first;

  const lost = await Inbox.open(client, "own");
  await endListeners(client);
  await lost.lost();
  await until(() => listening === 2);
  const again = await Inbox.open(client, "own");
  const second = nextReceived();
  await send(client, "users", "two");
  await second;
  await again.unlisten();
  assertEquals(received, ["one", "two"]);
  await unlisten();
});

Deno.test("fromNodePostgres listens with what the pool hides of its options", async () => {
  await using database = await createDatabase();
  await using admin = connect(database.url);
  const role = `listener_${crypto.randomUUID().slice(0, 8)}`;
  await admin.unsafe(`create role ${role} login password 'secret'`);
  const { hostname, port } = new URL(database.url);
  const pool = new pg.Pool({
    host: hostname,
    port: Number(port),
    database: database.name,
    user: role,
    password: () => "secret",
  });
  const inbox = await Inbox.open(fromNodePostgres(pool), "news");
  await inbox.unlisten();
  await pool.end();
  await admin.unsafe(`drop role ${role}`);
});

Deno.test("fromPglite listens, and so does a bare PGlite", async () => {
  const driver = await openPglite();
  for (const client of [driver.client, driver.raw]) {
    const inboxes = [await Inbox.open(client, "news"), await Inbox.open(client, "news")];
    await send(client, "news", "both");
    await Promise.all(inboxes.map((inbox) => inbox.received("both")));
    await inboxes[0]!.unlisten();
    await inboxes[0]!.unlisten();
    await send(client, "others", "none");
    await send(client, "news", "one");
    await inboxes[1]!.received("one");
    assertEquals(inboxes.map(({ payloads }) => payloads), [["both"], ["both", "one"]]);
    await inboxes[1]!.unlisten();
  }
  const left = await Inbox.open(driver.client, "news");
  await driver.raw.transaction((transaction) => {
    assert(!("listen" in fromPglite(transaction)));
    return Promise.resolve();
  });
  await driver.raw.close();
  await left.unlisten();
  await assertRejects(() => driver.client.listen!("news", () => {}));
});

Deno.test("a client has no listen where its driver has no way to", async () => {
  await using database = await createDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  const lent = await pool.connect();
  assert(!("listen" in fromNodePostgres(lent)));
  lent.release();
  await pool.end();
  assert(!("listen" in fromNodePostgres(new pg.Client())));
  assert(
    !("listen" in fromNodePostgres({ connect: () => pool.end(), query: () => pool.query("") })),
  );

  const sql = postgres(database.url, { max: 1, fetch_types: false });
  await sql.begin((transaction) => assert(!("listen" in fromPostgresJs(transaction))));
  const reserved = await sql.reserve();
  assert(!("listen" in fromPostgresJs(reserved)));
  reserved.release();
  await sql.end();
});

Deno.test("a client that does not prepare statements, as behind a pooler, does not listen", async () => {
  await using database = await createDatabase();
  await using js = await openPostgresJs(database.url);
  assert(fromPostgresJs(js.raw).listen !== undefined);
  assertEquals(fromPostgresJs(js.raw, { prepare: false }).listen, undefined);
  await using node = await openNodePostgres(database.url);
  assert(fromNodePostgres(node.raw).listen !== undefined);
  assertEquals(fromNodePostgres(node.raw, { prepare: false }).listen, undefined);
});
