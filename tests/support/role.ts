/** Roles for tests of privileges. Roles belong to the server, so each is dropped at the end. */

import { type TestDatabase, urlAs } from "./database.ts";

/** A role that can connect to one database. */
export interface Role extends AsyncDisposable {
  readonly name: string;
  /** The name in SQL. */
  readonly quoted: string;
  /** The role's connection string. */
  readonly url: string;
}

/** Makes a role without any privilege. `run` runs a statement as the administrator. */
export async function createRole(
  database: Pick<TestDatabase, "name" | "url">,
  run: (sql: string) => Promise<unknown>,
  suffix = "role",
): Promise<Role> {
  const name = `${database.name}_${suffix}`;
  const quoted = `"${name.replaceAll('"', '""')}"`;
  const password = crypto.randomUUID();
  await run(`create role ${quoted} login password '${password}'`);
  return {
    name,
    quoted,
    url: urlAs(database.url, name, password),
    async [Symbol.asyncDispose]() {
      await run(`drop owned by ${quoted}`);
      await run(`drop role ${quoted}`);
    },
  };
}
