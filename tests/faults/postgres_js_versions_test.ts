/**
 * Whether a process with postgres.js outlives its connections: some releases throw where no caller
 * can catch it. `POSTGRES_JS=3.4.8,3.4.9 deno task test tests/faults/postgres_js_versions_test.ts`
 * tries others than the one that deno.json names.
 */

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { migrate } from "../../mod.ts";
import { connect, createDatabase } from "../support/database.ts";
import { openPostgresJs } from "../support/clients.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";
import { type Account, assertAccounted } from "./instance.ts";

const PROGRAM = fileURLToPath(import.meta.resolve("./postgres_js_program.ts"));
const ROOT = fileURLToPath(import.meta.resolve("../.."));
const NAME = "postgres_js_program";
const ROUNDS = 40;
/** As docs/drivers.md advises: with the driver's default, the outcome is a matter of luck. */
const OPTIONS = JSON.stringify({ fetch_types: false });

const { imports } = JSON.parse(
  await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
);
const pinned: string = imports.postgres;
const others = Deno.env.get("POSTGRES_JS")?.split(",").map((version) => `npm:postgres@${version}`);
// Not Bun: there, statements on a connection that ended while it was made never end themselves.
const runtimes: Record<string, (script: string) => [string, ...string[]]> = {
  deno: (script) => [Deno.execPath(), "run", "--allow-all", "--quiet", "--no-config", script],
  node: (script) => ["node", script],
};

for (const driver of others ?? [pinned]) {
  for (const [runtime, command] of Object.entries(runtimes)) {
    const ignore = !await runs(runtime, command);
    const name = `${driver} on ${runtime} outlives terminated connections`;
    Deno.test({
      name: ignore ? `${name} (ignored: there is no ${runtime})` : name,
      ignore,
      fn: () => outlives(driver, command),
    });
  }
}

async function outlives(
  driver: string,
  command: (script: string) => [string, ...string[]],
): Promise<void> {
  await using folder = await GuardedFolder.create();
  await using database = await createDatabase();
  await using driverHere = await openPostgresJs(database.url, { max: 1 });
  await migrate(driverHere.client, "circuits");
  const script = `${folder.path}/program.mjs`;
  await bundle(driver, script);
  const [program, ...args] = command(script);
  const child = await folder.spawn(program, {
    args: [...args, database.url, NAME, OPTIONS],
    cwd: folder.path,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  let isRunning = true;
  const ended = Promise.all([
    child.status.finally(() => isRunning = false),
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await using sql = connect(database.url);
  for (let round = 0; round < ROUNDS && isRunning; round++) {
    await terminateAll(sql, () => isRunning);
  }
  await child.stdin.close();
  const [{ code }, output, errors] = await ended;
  await folder.forget();
  assertEquals(code, 0, errors);

  const accounts: Account[] = JSON.parse(output);
  const total: Account = {
    acknowledged: sum(accounts.map((account) => account.acknowledged)),
    unknown: sum(accounts.map((account) => account.unknown)),
  };
  const [row] = await sql<{ count: string }[]>`select sum(success_count) as count from circuits`;
  assertAccounted(NAME, total, Number(row!.count));
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Terminates every connection of the program, as soon as it has one that has done something. */
async function terminateAll(
  sql: ReturnType<typeof connect>,
  isRunning: () => boolean,
): Promise<void> {
  while (isRunning()) {
    const [row] = await sql<{ terminated: number }[]>`
      select count(pg_terminate_backend(pid))::int as terminated from pg_stat_activity
      where application_name = ${NAME} and exists (
        select from pg_stat_activity where application_name = ${NAME} and query like '%circuits%')`;
    if (row!.terminated > 0) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Makes one file for any runtime, with the driver in it. */
async function bundle(driver: string, script: string): Promise<void> {
  const imports = encodeURIComponent(JSON.stringify({ imports: { postgres: driver } }));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--no-lock",
      `--import-map=data:application/json,${imports}`,
      "-o",
      script,
      PROGRAM,
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

async function runs(
  runtime: string,
  command: (script: string) => [string, ...string[]],
): Promise<boolean> {
  const [program] = command("");
  try {
    await new Deno.Command(program, { args: ["--version"], stdout: "null" }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new Error(`Cannot run ${runtime}`, { cause: error });
  }
}
