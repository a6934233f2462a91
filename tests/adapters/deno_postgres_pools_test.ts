import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type DenoPostgresOwnedPoolLike,
  fromDenoPostgres,
} from "../../src/adapters/deno_postgres.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { PoolShape } from "./deno_postgres_shape.ts";

const LOST = new Error("The session was terminated unexpectedly");

Deno.test("fromDenoPostgres with a factory outlives idle connections that the server ends", async () => {
  await using database = await createDatabase();
  await using admin = connect(database.url);
  const url = `${database.url}?application_name=the_pool`;
  const sessions = async () => {
    const [row] = await admin<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where application_name = 'the_pool'`;
    return row!.n;
  };
  const terminate = () =>
    admin`select pg_terminate_backend(pid, 5000) from pg_stat_activity
          where application_name = 'the_pool'`;
  const ask = async (client: { query(text: string): Promise<{ rows: unknown[] }> }) => {
    try {
      return (await client.query("select 1 as n")).rows;
    } catch {
      return "failed";
    }
  };

  // This is what the driver does with a pool, and why there is a factory.
  const pool = new PoolShape(url, 1);
  const alone = fromDenoPostgres(pool);
  assertEquals(await ask(alone), [{ n: 1 }]);
  await terminate();
  for (let call = 0; call < 5; call++) assertEquals(await ask(alone), "failed");
  await pool.end();

  let made = 0;
  const client = fromDenoPostgres(() => {
    made++;
    return new PoolShape(url, 2);
  });
  assertEquals(made, 0);
  for (let round = 1; round <= 3; round++) {
    assertEquals(await Promise.all([ask(client), ask(client)]), [[{ n: 1 }], [{ n: 1 }]]);
    assertEquals(made, round);
    await terminate();
    assertEquals(await ask(client), "failed");
  }
  assertEquals(await ask(client), [{ n: 1 }]);
  // Those of the replaced pools are gone.
  await until(async () => await sessions() === 1);
  await client.end();
  await until(async () => await sessions() === 0);
});

Deno.test("fromDenoPostgres with a factory makes a pool at the first statement, and ends none unused", async () => {
  const { client, pools } = scripted(() => Promise.resolve({ rows: [{ n: 1n }] }));
  assertEquals(pools.length, 0);
  const { rows } = await client.query("select $1 as n", ["1"]);
  assertEquals(rows, [{ n: 1n }]);
  await client.query("select 1");
  assertEquals(pools.map(({ log }) => log), [["connect", "release", "connect", "release"]]);
  await client.end();
  await client.end();
  assertEquals(pools[0]!.log.slice(4), ["end"]);
  assertEquals(
    (await assertRejects(() => client.query("select 1"), Error)).message,
    "Cannot query Deno Postgres: the client has ended",
  );
  const unused = scripted(() => Promise.resolve({ rows: [] }));
  await unused.client.end();
  assertEquals(unused.pools.length, 0);
});

Deno.test("fromDenoPostgres with a factory keeps the pool for answers of the server, unless they are fatal", async () => {
  const answers = [
    Object.assign(new Error(), { fields: { severity: "ERROR", code: "40001" } }),
    Object.assign(new Error(), { fields: { severity: "FATAL", code: "57P01" } }),
  ];
  const { client, pools } = scripted(() => Promise.reject(answers.shift()));
  await assertRejects(() => client.query("select 1"));
  await assertRejects(() => client.query("select 1"));
  assertEquals(pools.map(({ log }) => log), [["connect", "release", "connect", "end", "end one"]]);
});

Deno.test("fromDenoPostgres with a factory replaces a pool once, however many statements lose it", async () => {
  const gate = Promise.withResolvers<{ rows: unknown[] }>();
  const { client, pools } = scripted(() =>
    pools.length === 1 ? gate.promise : Promise.resolve({ rows: [] })
  );
  const failing = Array.from({ length: 5 }, () => client.query("select 1").catch((error) => error));
  const late = Promise.withResolvers<void>();
  failing.push(
    client.query("select 2").catch(async (error) => {
      // A statement of the new pool, while the old one's still fail.
      await client.query("select 3");
      late.resolve();
      return error;
    }),
  );
  await until(() => pools[0]?.log.length === 6);
  gate.reject(LOST);
  await late.promise;
  for (const error of await Promise.all(failing)) assertStrictEquals(error, LOST);
  await client.query("select 4");
  assertEquals(pools.length, 2);
  assertEquals(pools[0]!.log.filter((entry) => entry === "end").length, 1);
  assertEquals(pools[0]!.log.filter((entry) => entry === "end one").length, 6);
  assertEquals(pools[0]!.log.includes("release"), false);
});

Deno.test("fromDenoPostgres with a factory replaces a pool that cannot connect, and checks what it makes", async () => {
  const refused = new Error("refused");
  let isAway = true;
  const { client, pools } = scripted(() => Promise.resolve({ rows: [] }), {
    connect: (connect) => isAway ? Promise.reject(refused) : connect(),
  });
  assertStrictEquals(await client.query("select 1").catch((error) => error), refused);
  isAway = false;
  await client.query("select 1");
  assertEquals(pools.map(({ log }) => log), [["end"], ["connect", "release"]]);

  const wrong = fromDenoPostgres(() => "postgres://user:password@localhost/app" as never);
  assertEquals(
    (await assertRejects(() => wrong.query("select 1"), TypeError)).message,
    "Cannot wrap Deno Postgres: expected a function that returns a Pool of @db/postgres, received a string of 38 characters",
  );
});

Deno.test("fromDenoPostgres with a factory moves waiting statements to the new pool", async () => {
  await using database = await createDatabase();
  await using admin = connect(database.url);
  const client = fromDenoPostgres(() => new PoolShape(database.url, 1));
  const [{ rows: [session] }, ...others] = await Promise.all([
    client.query("select pg_backend_pid() as pid"),
    client.query("select 1 as n"),
  ]);
  assertEquals(others, [{ rows: [{ n: 1 }] }]);
  const held = client.query("select pg_sleep(60)").catch((error) => error);
  const waiting = Promise.all([1, 2, 3].map((n) => client.query(`select ${n} as n`)));
  await until(async () => {
    const [row] = await admin`
      select state = 'active' as is_active from pg_stat_activity where pid = ${
      Number(session!.pid)
    }`;
    return row!.is_active;
  });
  await admin`select pg_terminate_backend(${Number(session!.pid)})`;
  assert(await held instanceof Error);
  assertEquals((await waiting).map(({ rows }) => rows), [[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]]);
  await client.end();
});

Deno.test("fromDenoPostgres with a factory waits for no pool that does not end", async () => {
  let isFirst = true;
  const { client, pools } = scripted(
    () => {
      const answer = isFirst ? Promise.reject(LOST) : Promise.resolve({ rows: [] });
      isFirst = false;
      return answer;
    },
    { end: (attempt) => attempt === 1 ? Promise.reject(LOST) : new Promise(() => {}) },
  );
  await assertRejects(() => client.query("select 1"));
  await client.query("select 1");
  // What the driver's first attempt left behind is ended as well.
  await until(() => pools[0]!.log.filter((entry) => entry === "end").length === 2);
  const start = performance.now();
  await client.end();
  assert(performance.now() - start < 3000);
  assertEquals(pools.length, 2);
});

interface Hooks {
  connect?: <T>(connect: () => Promise<T>) => Promise<T>;
  end?: (attempt: number) => Promise<void>;
}

/** A client whose pools write down what is done to them; what a statement does is up to the test. */
function scripted(answer: () => Promise<{ rows: unknown[] }>, hooks: Hooks = {}) {
  const pools: (DenoPostgresOwnedPoolLike & { log: string[] })[] = [];
  const client = fromDenoPostgres(() => {
    const log: string[] = [];
    let attempts = 0;
    const lend = () => {
      log.push("connect");
      return Promise.resolve({
        queryObject: answer,
        release: () => void log.push("release"),
        end: () => Promise.resolve(void log.push("end one")),
      });
    };
    const pool = {
      size: 3,
      log,
      connect: () => hooks.connect?.(lend) ?? lend(),
      end() {
        log.push("end");
        return hooks.end?.(++attempts) ?? Promise.resolve();
      },
    };
    pools.push(pool);
    return pool;
  });
  return { client, pools };
}
