import { assert } from "@std/assert";
import { fileURLToPath } from "node:url";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";

// These two are not files, because a check of all files would include them: the one needs JSR, the
// other replaces types of the web platform, and would do so everywhere.

const DENO_POSTGRES = `
import { type Client, Pool, type PoolClient, type Transaction } from "@db/postgres";
import { fromDenoPostgres } from "./src/adapters/deno_postgres.ts";
import type { PostgresClient } from "./src/types.ts";

export function fit(pool: Pool, client: Client, lent: PoolClient, inside: Transaction): void {
  fromDenoPostgres(pool);
  fromDenoPostgres(client);
  fromDenoPostgres(lent);
  fromDenoPostgres(inside);
  fromDenoPostgres(() => new Pool("postgres://localhost/app", 4, true)).end();
  // @ts-expect-error A function that makes clients.
  fromDenoPostgres(() => client);
  // @ts-expect-error The driver's types are known, not any.
  pool.noSuchMethod();
  // @ts-expect-error Deno Postgres has no query: it needs the adapter.
  pool satisfies PostgresClient;
  // @ts-expect-error The class is not an instance of it.
  fromDenoPostgres(Pool);
}
`;

const BUN_SQL = `
/// <reference types="bun-types" />
import { fromBunSql } from "./src/adapters/bun_sql.ts";
import type { PostgresClient } from "./src/types.ts";

export function fit(sql: Bun.SQL, inside: Bun.TransactionSQL, reserved: Bun.ReservedSQL): void {
  fromBunSql(sql);
  fromBunSql(inside);
  fromBunSql(reserved);
  // @ts-expect-error The driver's types are known, not any.
  sql.noSuchMethod();
  // @ts-expect-error Bun's SQL has no query: it needs the adapter.
  sql satisfies PostgresClient;
  // @ts-expect-error The class is not an instance of it.
  fromBunSql({} as typeof Bun.SQL);
  // @ts-expect-error Bun is told where the SQL is made, not here.
  fromBunSql(sql, { prepare: false });
}
`;

/** Runs Deno in a process of its own, so that `--no-check` cannot skip what it checks. */
async function deno(args: string[], stdin = ""): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: fileURLToPath(import.meta.resolve("../..")),
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const [{ success, stderr }] = await Promise.all([
    child.output(),
    ReadableStream.from([new TextEncoder().encode(stdin)]).pipeTo(child.stdin),
  ]);
  assert(success, new TextDecoder().decode(stderr));
}

/** Checks a program that is given as text, in the package's root folder. */
function checkText(program: string): Promise<void> {
  return deno(["run", "--quiet", "--no-lock", "--check", "-"], program);
}

for (const name of ["postgres_js", "node_postgres", "neon", "pglite", "deno_postgres_shape"]) {
  const file = fileURLToPath(import.meta.resolve(`./types/${name}.ts`));
  Deno.test(`the types of ${name} fit`, () => deno(["check", "--quiet", "--no-lock", file]));
}

Deno.test("the types of bun_sql fit", () => checkText(BUN_SQL));

Deno.test({
  name: `the types of deno_postgres fit${REACHABLE ? "" : " (ignored: JSR is not reachable)"}`,
  ignore: !REACHABLE,
  fn: () => checkText(DENO_POSTGRES),
});
