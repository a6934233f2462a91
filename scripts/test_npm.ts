/**
 * `deno task test:npm`: packs what `deno task build:npm` built, installs it into empty projects, and
 * uses it there as npm's users do, on a real PostgreSQL: the one that `DATABASE_URL` names, or a
 * throw-away one. The last line is "N passed, N failed".
 *
 * @module
 */

import { createDatabase, dropAbandonedDatabases } from "../tests/support/database.ts";
import { startPostgres } from "../tests/support/postgres_server.ts";
import { ProgramQueue } from "./npm/checks/program_queue.ts";
import { checkEntries, checkOnDatabase, PACKAGE } from "./npm/checks/projects.ts";
import { Report } from "./npm/checks/report.ts";
import { findRuntimes } from "./npm/checks/runtimes.ts";
import { checkTarball, checkWithLinters, pack } from "./npm/checks/tarball.ts";
import { checkTypes } from "./npm/checks/types.ts";
import { checkWorkers } from "./npm/checks/workers.ts";
import { DOCUMENTS, readManifest } from "./npm/manifest.ts";
import { type Specification, specify } from "./npm/specification.ts";
import { ROOT } from "./workspace.ts";

/** Runs all checks, those of the tarball and those on the database side by side. */
async function run(report: Report): Promise<void> {
  const manifest = await readManifest();
  const specification = await specify(manifest);
  await assertBuilt(specification);
  await using resources = new AsyncDisposableStack();
  const [database, files, programs, other] = await Promise.all([
    provideServer(resources),
    ProgramQueue.open(),
    ProgramQueue.open(),
    ProgramQueue.open(),
  ]);
  for (const queue of [files, programs, other]) resources.use(queue);

  const tarball = await pack(files, PACKAGE);
  const { found, missing } = await findRuntimes(programs);
  for (const { name, reason } of missing) report.ignore(name, reason);
  const ground = { queue: programs, other, manifest, tarball, database, report };
  const queues = await Promise.allSettled([
    (async () => {
      await report.group("Tarball", () => checkTarball(files, tarball, specification));
      await report.group("Linters", () => checkWithLinters(files, tarball));
      await report.group("TypeScript", () => checkTypes(files, manifest, tarball));
    })(),
    (async () => {
      await checkEntries(ground, found);
      await checkOnDatabase(ground, found);
    })(),
  ]);
  for (const queue of queues) if (queue.status === "rejected") throw queue.reason;
  // Its deadlines need the machine for themselves.
  await report.group("Workers", () => checkWorkers(ground));
}

/** What is tested has to be what the sources say. */
async function assertBuilt({ modules }: Specification): Promise<void> {
  const builtAt = await modifiedAt(new URL("npm/package.json", ROOT));
  if (builtAt === 0) {
    throw new Error('Cannot test the package: there is none, run "deno task build:npm" first');
  }
  for (const path of ["deno.json", ...DOCUMENTS, ...modules]) {
    if (await modifiedAt(new URL(path, ROOT)) <= builtAt) continue;
    throw new Error(
      `Cannot test the package: ${path} has changed since, run "deno task build:npm" again`,
    );
  }
}

async function modifiedAt(file: URL): Promise<number> {
  try {
    return (await Deno.stat(file)).mtime?.getTime() ?? 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** An administrator's connection string. */
async function provideServer(resources: AsyncDisposableStack): Promise<string> {
  const admin = Deno.env.get("DATABASE_URL");
  if (!admin) return resources.use(await startPostgres()).url;
  await dropAbandonedDatabases(admin);
  return resources.use(await createDatabase(admin)).url;
}

if (import.meta.main) {
  const report = new Report();
  try {
    await run(report);
  } catch (error) {
    await report.group("Tests of the package", () => Promise.reject(error));
  }
  console.log(report.summary);
  Deno.exit(report.failed ? 1 : 0);
}
