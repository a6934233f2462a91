import postgres from "postgres";
import {
  type CircuitBreakerSnapshot,
  type CircuitListing,
  migrate,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { startPostgres } from "../../tests/support/postgres_server.ts";

/** Where the demo's gateways share their circuits. */
export interface DemoDatabase extends AsyncDisposable {
  url: string;
  table: string;
  /** What the timeline calls it. */
  description: string;
  /** Reads a circuit as it stands in the database, past all gateways. */
  peek(circuit: string): Promise<CircuitBreakerSnapshot>;
  /** Finds a circuit in the list that operators see. */
  find(circuit: string): Promise<CircuitListing | undefined>;
}

const PREFIX = "circuit_breaker_demo_";

/**
 * Prepares a table of the demo's own: in the database of `DATABASE_URL`, or else on a PostgreSQL
 * that is started for it. Disposal removes all of it.
 */
export async function openDatabase(): Promise<DemoDatabase> {
  await using cleanup = new AsyncDisposableStack();
  const given = Deno.env.get("DATABASE_URL");
  const url = given || cleanup.use(await startPostgres()).url;

  const sql = postgres(url, { max: 1, onnotice: () => {} });
  cleanup.defer(() => sql.end({ timeout: 5 }));
  await dropAbandoned(sql);
  const schema = `${PREFIX}${crypto.randomUUID().slice(0, 8)}`;
  const table = `${schema}.stoma_circuit_breakers`;
  await lock(sql, schema);
  await sql.unsafe(`create schema ${schema}`);
  cleanup.defer(async () => {
    await sql.unsafe(`drop schema ${schema} cascade`);
  });
  const client = fromPostgresJs(sql);
  await migrate(client, table);
  const store = new PostgresCircuitBreakerStore(client, table);
  cleanup.defer(() => store.close());

  const [server] = await sql.unsafe("select current_setting('server_version') as version");
  const kept = cleanup.move();
  return {
    url,
    table,
    description: `PostgreSQL ${server?.version}, ${given ? "from DATABASE_URL" : "just started"}`,
    peek: (circuit) => store.peek(circuit),
    find: async (circuit) => (await store.list()).find(({ key }) => key === circuit),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/**
 * Drops the schemas of demos that were killed on a server that outlives them. A demo locks the name of
 * its schema as long as it runs. A name that can be locked belongs to no running demo.
 */
async function dropAbandoned(sql: postgres.Sql): Promise<void> {
  const schemas = await sql<{ nspname: string }[]>`
    select nspname from pg_namespace
    where starts_with(nspname, ${PREFIX}) and pg_get_userbyid(nspowner) = current_user
  `;
  for (const { nspname } of schemas) {
    if (await lock(sql, nspname)) await sql`drop schema if exists ${sql(nspname)} cascade`;
  }
}

/** Locks a name until the session ends; the client has one session only. */
async function lock(sql: postgres.Sql, name: string): Promise<boolean> {
  const [row] = await sql`select pg_try_advisory_lock(hashtext(${name})) as locked`;
  return row?.locked === true;
}
