/**
 * A database of its own for each test file, on the server that `DATABASE_URL` names.
 *
 * @module
 */

import postgres from "postgres";

const PREFIX = "circuit_breaker_";
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** A fresh database, dropped with everything in it on disposal, also while connections are open. */
export interface TestDatabase extends AsyncDisposable {
  /** The connection string, with the rights of `DATABASE_URL`. */
  readonly url: string;
  /** The database's name, unique on its server. */
  readonly name: string;
}

/** The administrator's connection string. `deno task test` provides one. */
export function databaseUrl(): string {
  const url = Deno.env.get("DATABASE_URL");
  if (url === undefined || url === "") {
    throw new Error(
      `Cannot connect to PostgreSQL: "DATABASE_URL" must be set, run the tests with ` +
        `"deno task test"`,
    );
  }
  return url;
}

/** Opens postgres.js on a connection string: quiet, on one connection by default. */
export function connect(
  url: string,
  options: postgres.Options<Record<string, never>> = {},
): postgres.Sql & AsyncDisposable {
  const sql = postgres(url, { max: 1, onnotice: () => {}, ...options });
  return Object.assign(sql, {
    [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }),
  });
}

/** Names a database on the same server: the same connection string with another path. */
export function urlOf(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(name)}`;
  return changed.href;
}

/** Names a role on the same database: the same connection string with another user. */
export function urlAs(url: string, user: string, password = ""): string {
  const changed = new URL(url);
  changed.username = encodeURIComponent(user);
  changed.password = encodeURIComponent(password);
  return changed.href;
}

/**
 * Creates a database that no other test uses.
 *
 * @example
 * ```ts ignore
 * await using database = await createDatabase();
 * await using sql = connect(database.url);
 * ```
 */
export async function createDatabase(admin: string = databaseUrl()): Promise<TestDatabase> {
  const random = crypto.randomUUID().slice(0, 8);
  const name = `${PREFIX}${Date.now().toString(36)}_${random}`;
  await runAsAdmin(admin, `create database ${name} template template0 encoding 'UTF8'`);
  return {
    name,
    url: urlOf(admin, name),
    async [Symbol.asyncDispose](): Promise<void> {
      await runAsAdmin(admin, `drop database if exists ${name} with (force)`);
    },
  };
}

/**
 * Drops the databases that killed test runs left on a server that outlives them. They were made over an
 * hour ago and have no connection.
 */
export async function dropAbandonedDatabases(admin: string): Promise<void> {
  await using sql = connect(admin);
  const rows = await sql<{ datname: string }[]>`
    select datname from pg_database d
    where starts_with(datname, ${PREFIX})
      and not exists (select from pg_stat_activity a where a.datid = d.oid)`;
  for (const { datname } of rows) {
    const [, time, random] = /^circuit_breaker_([0-9a-z]{8})_([0-9a-f]{8})$/.exec(datname) ?? [];
    if (time === undefined || random === undefined) continue;
    if (Date.now() - parseInt(time, 36) < ABANDONED_AFTER_MS) continue;
    await sql.unsafe(`drop database if exists ${datname}`);
  }
}

async function runAsAdmin(admin: string, statement: string): Promise<void> {
  await using sql = connect(admin);
  await sql.unsafe(statement);
}
