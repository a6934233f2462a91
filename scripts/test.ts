/**
 * `deno task test [paths] [flags of deno test]`: runs the tests and the examples in the docs on a real
 * PostgreSQL, the one `DATABASE_URL` names or a throw-away one, and leaves nothing behind.
 *
 * @module
 */

import { createDatabase, dropAbandonedDatabases } from "../tests/support/database.ts";
import { GuardedFolder } from "../tests/support/guarded_folder.ts";
import { startPostgres } from "../tests/support/postgres_server.ts";
import { countCases, type Counts, summaryOf } from "./junit.ts";
import { openWorkspace, ROOT, type Workspace } from "./workspace.ts";

const EVERYTHING = ["tests", "mod.ts", "src", "README.md", "docs"];

/** Tests of real faults: they take minutes and need the machine for themselves. */
const FAULTS: readonly string[] = ["tests/faults", "tests/histories/live", "tests/topologies"];

/** How a run of tests went, and what it printed where that was kept. */
export interface TestRun extends Counts {
  output: string;
}

/**
 * Runs test files, and the examples in them, with `deno test`.
 *
 * @param args Paths and flags for `deno test`; everything without a path.
 * @param keep Whether to keep the output instead of passing it through.
 */
export async function runTests(
  workspace: Workspace,
  args: string[],
  keep = false,
): Promise<TestRun> {
  await using resources = new AsyncDisposableStack();
  const url = await provideDatabase(resources);
  const folder = resources.use(await GuardedFolder.create());
  const release = endOnSignal(resources);

  // A copy, since a run may add what it resolves: JSR packages where there are any.
  await Deno.copyFile(new URL("deno.lock", ROOT), `${folder.path}/deno.lock`);
  const report = `${folder.path}/report.xml`;
  const child = await folder.spawn(Deno.execPath(), {
    args: [
      "test",
      "--doc",
      ...args.some((arg) => FAULTS.some((folder) => arg.startsWith(folder)))
        ? []
        : ["--parallel", `--ignore=${FAULTS.join()}`],
      "--allow-all",
      `--lock=${folder.path}/deno.lock`,
      `--junit-path=${report}`,
      ...workspace.flags,
      ...await withPaths(args),
    ],
    cwd: ROOT,
    env: { DATABASE_URL: url, JSR_REACHABLE: workspace.jsrReachable ? "1" : "0" },
    stdin: "null",
    stdout: keep ? "piped" : "inherit",
    stderr: keep ? "piped" : "inherit",
  });
  const [{ success }, ...outputs] = await Promise.all([
    child.status,
    ...keep ? [textOf(child.stdout), textOf(child.stderr)] : [],
  ]);
  await folder.forget();
  await release();
  const counts = countCases(await readIfThere(report));
  // What stops the whole run, such as a type error, is in no case.
  if (!success && counts.failed === 0) counts.failed = 1;
  return { ...counts, output: outputs.join("") };
}

/** A database of its own for the run, so that examples may use the default table in it. */
async function provideDatabase(resources: AsyncDisposableStack): Promise<string> {
  let admin = Deno.env.get("DATABASE_URL");
  if (admin) await dropAbandonedDatabases(admin);
  else admin = resources.use(await startPostgres()).url;
  return resources.use(await createDatabase(admin)).url;
}

/**
 * The run is in a process group of its own. Ctrl-C reaches this process alone, which then ends the run
 * and itself. The returned function stops this. It never resolves after a signal.
 */
function endOnSignal(resources: AsyncDisposableStack): () => Promise<void> {
  let ending = Promise.resolve();
  const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
  const handlers = Object.entries(signals).map(([signal, code]) => {
    const handler = () => {
      ending = resources.disposeAsync().finally(() => Deno.exit(code));
    };
    Deno.addSignalListener(signal as Deno.Signal, handler);
    return () => Deno.removeSignalListener(signal as Deno.Signal, handler);
  });
  return async () => {
    await ending;
    handlers.forEach((remove) => remove());
  };
}

async function withPaths(args: string[]): Promise<string[]> {
  for (const arg of args) if (await isPath(arg)) return args;
  return [...args, ...EVERYTHING];
}

async function isPath(arg: string): Promise<boolean> {
  if (arg.startsWith("-")) return false;
  try {
    await Deno.stat(new URL(arg, ROOT));
    return true;
  } catch {
    return arg.includes("*");
  }
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

if (import.meta.main) {
  const workspace = await openWorkspace();
  if (workspace.notice) console.log(workspace.notice);
  const run = await runTests(workspace, Deno.args);
  console.log(summaryOf(run));
  Deno.exit(run.failed > 0 || run.passed === 0 ? 1 : 0);
}
