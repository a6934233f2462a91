import { assert, assertEquals, assertRejects } from "@std/assert";
import postgres from "postgres";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { boundReconnects, type ConnectionOptions } from "../../src/adapters/reconnects.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

/** Without a pace, they take a fifth of a second; at 20 a second, some two seconds. */
const CONNECTIONS = 60;

Deno.test("fromPostgresJs spreads connections that the server closes, and finds it when it is back", async () => {
  await using database = await createDatabase();
  await using door = new Door(database.url);
  await using sql = connect(door.url, { max: 4, fetch_types: false });
  const client = fromPostgresJs(sql);
  const start = performance.now();
  const waiting = Promise.all([1, 2, 3].map((n) => client.query("select $1::int as n", [n])));
  waiting.catch(() => {}); // where the test fails before it is awaited
  await door.closed(CONNECTIONS);
  assert(performance.now() - start > 1000, `${performance.now() - start} ms`);

  door.isOpen = true;
  const openedAt = performance.now();
  assertEquals((await waiting).map(({ rows }) => rows[0]), [{ n: 1 }, { n: 2 }, { n: 3 }]);
  assert(performance.now() - openedAt < 1000, `${performance.now() - openedAt} ms`);

  // What was is forgotten: many connections at once wait for nothing.
  const at = performance.now();
  await Promise.all(Array.from({ length: 20 }, () => client.query("select 1")));
  assert(performance.now() - at < 1000);
});

Deno.test("fromPostgresJs spreads the connections that it listens with", async () => {
  await using database = await createDatabase();
  await using door = new Door(database.url);
  const sql = postgres(door.url, { max: 1, fetch_types: false });
  const client = fromPostgresJs(sql);
  door.isOpen = true;
  await client.query("select 1");
  // A new listener first asks its pool, which has its connection.
  door.isOpen = false;
  const start = performance.now();
  const listening = client.listen!("news", () => {}).catch((error) => error);
  await door.closed(CONNECTIONS);
  assert(performance.now() - start > 1000, `${performance.now() - start} ms`);
  await sql.end({ timeout: 0 });
  assert(await listening instanceof Error);
});

Deno.test("fromPostgresJs leaves nothing behind where a pool ends that the server keeps closed", async () => {
  await using door = new Door("postgres://127.0.0.1:1/nothing");
  const sql = postgres(door.url, { max: 2, fetch_types: false });
  const client = fromPostgresJs(sql);
  const waiting = [1, 2, 3].map(() => client.query("select 1").catch((error) => error.code));
  await door.closed(30);
  await sql.end({ timeout: 0 });
  assertEquals(new Set(await Promise.all(waiting)), new Set(["CONNECTION_DESTROYED"]));
  const { count } = door;
  await assertRejects(() => client.query("select 1"));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert(door.count <= count + 2);
});

Deno.test("fromPostgresJs lets statements be cancelled, however many", async () => {
  await using database = await createDatabase();
  await using sql = connect(database.url, { max: 1, fetch_types: false });
  fromPostgresJs(sql);
  await using watch = connect(database.url);
  for (let round = 0; round < 30; round++) {
    const sleeping = sql`select pg_sleep(30)`;
    const cancelled = sleeping.catch((error) => error.code);
    await until(async () => {
      const rows = await watch`select from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()`;
      return rows.length === 1;
    });
    sleeping.cancel();
    assertEquals(await cancelled, "57014");
  }
});

Deno.test("boundReconnects leaves sockets to those who make them, and to TLS from the first byte", () => {
  for (const own of [{ socket: () => Promise.resolve() }, { sslnegotiation: "direct" }]) {
    const options: ConnectionOptions = { max: 1, shared: { retries: 0 }, ...own };
    boundReconnects(options);
    const sockets = Array.from({ length: 100 }, () => options.socket);
    assertEquals(new Set(sockets), new Set([(own as { socket?: unknown }).socket]));
  }
});

/** A port that closes each connection at once, or leads to the server while it is open. */
class Door implements AsyncDisposable {
  readonly url: string;
  isOpen = false;
  /** How many connections it has closed. */
  count = 0;
  readonly #server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: URL;
  readonly #work: Promise<void>[] = [];
  readonly #connections = new Set<Deno.Conn>();
  #reached: [count: number, resolve: () => void] | undefined;

  constructor(url: string) {
    this.#target = new URL(url);
    const here = new URL(url);
    here.hostname = "127.0.0.1";
    here.port = String((this.#server.addr as Deno.NetAddr).port);
    this.url = here.href;
    this.#work.push(this.#run());
  }

  /** Resolves once it has closed `count` connections. */
  async closed(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reached = [count, resolve];
    await promise;
  }

  async #run(): Promise<void> {
    for await (const connection of this.#server) {
      if (this.isOpen) {
        this.#work.push(this.#lead(connection));
        continue;
      }
      connection.close();
      this.count++;
      if (this.count === this.#reached?.[0]) this.#reached[1]();
    }
  }

  async #lead(connection: Deno.Conn): Promise<void> {
    const hostname = decodeURIComponent(this.#target.hostname);
    const server = await Deno.connect({ hostname, port: Number(this.#target.port) });
    this.#connections.add(connection).add(server);
    await Promise.allSettled([
      connection.readable.pipeTo(server.writable),
      server.readable.pipeTo(connection.writable),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // It has ended.
      }
    }
    await Promise.all(this.#work);
  }
}
