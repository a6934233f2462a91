/** Dumps and restores with the programs of PostgreSQL, where the machine has them. */

import { isPostgresVersion, type PostgresVersion } from "./postgres_binaries.ts";

/** The major of the machine's `pg_dump` and `psql`; `undefined` where it lacks one of them. */
export async function dumpVersion(): Promise<PostgresVersion | undefined> {
  try {
    const [dump] = await Promise.all([
      output("pg_dump", ["--version"]),
      output("psql", ["--version"]),
    ]);
    const major = /(\d+)/.exec(dump)?.[1] ?? "";
    return isPostgresVersion(major) ? major : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Dumps a database as SQL. */
export function dump(url: string, ...options: string[]): Promise<string> {
  return output("pg_dump", [...options, url]);
}

/** Runs SQL with `psql`, which stops at the first error. */
export async function runPsql(url: string, sql: string): Promise<void> {
  const flags = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"];
  await output("psql", [...flags, url], sql);
}

async function output(program: string, args: string[], input = ""): Promise<string> {
  const child = new Deno.Command(program, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
