/** What the tests of `checkReadiness` share. */

import type postgres from "postgres";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { CircuitBreakerStoreError } from "../../src/errors.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { checkReadiness } from "../../src/postgres/readiness.ts";
import type { PostgresClient } from "../../src/types.ts";
import { connect, createDatabase } from "../support/database.ts";
import { createRole } from "../support/role.ts";

/** What the store needs, object by object. */
export const PRIVILEGES: readonly (readonly [object: string, privileges: readonly string[]])[] = [
  ["circuits", ["select", "insert", "update", "delete"]],
  ["circuits_changes", ["select", "insert", "delete"]],
  ["circuits_instances", ["select", "insert", "update", "delete"]],
  ["circuits_epoch", ["select", "insert"]],
  ["sequence circuits_versions", ["usage"]],
  ["circuits_overview", ["select"]],
  ["circuits_timeline", ["select"]],
];

/** An object of {@linkcode PRIVILEGES} with its schema, quoted. */
export function inOps(object: string): string {
  return object.replace(/\w+$/, '"ops"."$&"');
}

/** How the message about missing privileges begins. */
export const MISSING: string =
  "CircuitBreakerStoreError 42501: Cannot check: privileges are missing, run: ";

/** What a check ends in: "ready", or the error's class, SQLSTATE and message. */
export async function check(client: PostgresClient, table = "circuits"): Promise<string> {
  try {
    await checkReadiness(client, parseTableName("check", table));
    return "ready";
  } catch (error) {
    if (!(error instanceof CircuitBreakerStoreError)) throw error;
    return [error.name, error.sqlState].filter(Boolean).join(" ") + `: ${error.message}`;
  }
}

/** A database with a schema `ops`, and a role without any right to it. */
export interface Stage extends AsyncDisposable {
  /** The administrator's client and driver. */
  readonly admin: PostgresClient;
  readonly sql: postgres.Sql;
  /** The database's name. */
  readonly database: string;
  /** The role's name, and the same as SQL. */
  readonly role: string;
  readonly quoted: string;
  /** The role's connection string and client. */
  readonly url: string;
  readonly client: PostgresClient;
  /** Runs a statement as the administrator. */
  run(text: string): Promise<unknown>;
  /** What a check by the role ends in. */
  check(table?: string): Promise<string>;
  /** Grants the role all that the store needs on `ops.circuits`, as a migration does. */
  grantAll(): Promise<void>;
}

/** Opens a stage; the role's name ends in the suffix. */
export async function openStage(suffix = "role"): Promise<Stage> {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const sql = cleanup.use(connect(database.url));
  const admin = fromPostgresJs(sql);
  const run = (text: string) => admin.query(text);
  const { name: role, quoted, url } = cleanup.use(await createRole(database, run, suffix));
  await run("create schema ops");
  const client = fromPostgresJs(cleanup.use(connect(url)));
  const kept = cleanup.move();
  return {
    admin,
    sql,
    database: database.name,
    role,
    quoted,
    url,
    client,
    run,
    check: (table = "ops.circuits") => check(client, table),
    async grantAll(): Promise<void> {
      await migrate(admin, "ops.circuits", { grantTo: role });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
