import { neonConfig, Pool } from "@neondatabase/serverless";
import { neonConfig as vercelConfig } from "@neondatabase/serverless-0";
import { createPool } from "@vercel/postgres";
import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresClient,
} from "@circuit-breaker/postgres";
import { fromNodePostgres } from "@circuit-breaker/postgres/node-postgres";
import { assert, assertEquals } from "@std/assert";
import { drizzle } from "drizzle-orm/node-postgres";
import knex from "knex";
import { Kysely, PostgresDialect } from "kysely";
// @ts-types="@types/pg"
import pg from "pg";
import { DataSource } from "typeorm";
import { contractSteps } from "../adapters/deno_steps.ts";
import { createDatabase } from "../support/database.ts";
import { startNeonEndpoint } from "../support/neon_endpoint.ts";
import { fromKnex } from "./knex.ts";
import { fromKysely } from "./kysely.ts";
import { fromPrisma } from "./prisma.ts";
import { openPrisma } from "./prisma_client.ts";
import { fromTypeOrm } from "./typeorm.ts";

/** A client of a framework, opened for real. */
interface Opened extends AsyncDisposable {
  client: PostgresClient;
}

/** How each is opened on a database, as its own documentation does. */
const FRAMEWORKS: Record<string, (url: string, max: number) => Promise<Opened>> = {
  Kysely(connectionString, max) {
    const pool = quiet(new pg.Pool({ connectionString, max }));
    // Kysely uses connections without a listener, see docs/clients.md.
    pool.on("connect", (connection) => connection.on("error", () => {}));
    const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
    return opened(fromKysely(db), () => db.destroy());
  },
  Drizzle(connectionString, max) {
    const { $client: pool } = drizzle({ connection: { connectionString, max } });
    return opened(fromNodePostgres(quiet(pool)), () => pool.end());
  },
  async TypeORM(url, max) {
    const source = new DataSource({ type: "postgres", url, poolSize: max, driver: pg });
    await source.initialize();
    return await opened(fromTypeOrm(source), () => source.destroy());
  },
  Prisma(connectionString, max) {
    const prisma = openPrisma(connectionString, max);
    return opened(fromPrisma(prisma), () => prisma.$disconnect());
  },
  Knex(connection, max) {
    const db = knex({ client: "pg", connection, pool: { min: 0, max } });
    return opened(fromKnex(db), () => db.destroy());
  },
};

/** Pools that speak the server's protocol inside of WebSockets. */
const WEB_SOCKETS: typeof FRAMEWORKS = {
  "a Pool of Neon"(connectionString, max) {
    const pool = quiet(new Pool({ connectionString, max }));
    return opened(fromNodePostgres(pool), () => pool.end());
  },
  "@vercel/postgres"(url, max) {
    // Of other hosts it wants the names that Neon's poolers have.
    const connectionString = url.replace("@127.0.0.1", "@localhost");
    const pool = quiet(createPool({ connectionString, max }));
    return opened(fromNodePostgres(pool), () => pool.end());
  },
};

/** A pool that says nothing of idle connections that the server ends. */
function quiet<Pool extends { on(event: "error", listener: () => void): unknown }>(
  pool: Pool,
): Pool {
  pool.on("error", () => {});
  return pool;
}

function opened(client: PostgresClient, close: () => Promise<unknown>): Promise<Opened> {
  return Promise.resolve({
    client,
    async [Symbol.asyncDispose]() {
      await close();
    },
  });
}

for (const [name, open] of Object.entries(FRAMEWORKS)) {
  Deno.test(`the recipe for ${name} keeps the contract`, async (t) => {
    await using database = await createDatabase();
    await contractSteps(t, {
      name,
      prepares: name === "Drizzle",
      reconnects: true,
      open: (max) => open(database.url, max),
    }, true);
    await t.step("and serves a store", async () => {
      await using opened = await open(database.url, 2);
      await migrate(opened.client);
      await using store = new PostgresCircuitBreakerStore(opened.client, {
        timeoutMs: 5000,
        failureThreshold: 2,
        failureWindowMs: 60_000,
      });
      await Promise.all([store.recordFailure("api"), store.recordFailure("api")]);
      assertEquals((await store.getState("api")).state, "open");
      assertEquals((await store.history()).map(({ to, cause }) => [to, cause]), [["open", "trip"]]);
    });
  });
}

for (const [name, open] of Object.entries(WEB_SOCKETS)) {
  Deno.test(`${name} keeps the contract over WebSockets`, async (t) => {
    await using database = await createDatabase();
    await using endpoint = startNeonEndpoint();
    // Neon's own servers need none of these: https, and a password sent with the first bytes.
    for (const config of [neonConfig, vercelConfig]) {
      config.wsProxy = endpoint.wsProxy;
      config.useSecureWebSocket = false;
      config.pipelineConnect = false;
      config.pipelineTLS = false;
    }
    await contractSteps(t, {
      name,
      prepares: true,
      reconnects: true,
      open: (max) => open(database.url, max),
    }, true);
    await t.step("and listens", async () => {
      await using opened = await open(database.url, 1);
      const heard = Promise.withResolvers<string>();
      const unlisten = await opened.client.listen!("changes", heard.resolve);
      await opened.client.query("select pg_notify('changes', $1::text)", ["news"]);
      assertEquals(await heard.promise, "news");
      await unlisten();
    });
  });
}

Deno.test("docs/clients.md shows the recipes that these tests run", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/clients.md", import.meta.url));
  for (const name of ["kysely", "typeorm", "knex", "prisma"]) {
    const recipe = await Deno.readTextFile(new URL(`./${name}.ts`, import.meta.url));
    assert(page.includes(`\n\`\`\`ts ignore\n${recipe}\`\`\`\n`), name);
  }
});
