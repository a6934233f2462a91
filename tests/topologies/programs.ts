/**
 * The programs that a replicated PostgreSQL consists of, where they are installed.
 *
 * @module
 */

/** Where each program is. */
export interface Programs {
  readonly patroni: string;
  readonly etcd: string;
  readonly haproxy: string;
  readonly pgbouncer: string;
  /** The folder of PostgreSQL's own programs. */
  readonly postgres: string;
}

/** Where programs are. Debian keeps some off a user's path. */
const FOLDERS: readonly string[] = [
  ...(Deno.env.get("PATH") ?? "").split(":"),
  "/usr/sbin",
  "/usr/local/sbin",
];

/** Where Debian has one folder for each major of PostgreSQL. */
const MAJORS = "/usr/lib/postgresql";

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}

async function find(name: string): Promise<string | undefined> {
  for (const folder of FOLDERS) {
    if (folder !== "" && await exists(`${folder}/${name}`)) return `${folder}/${name}`;
  }
}

/** The newest PostgreSQL that has all programs, which those of npm lack. */
async function findPostgres(): Promise<string | undefined> {
  const majors: number[] = [];
  try {
    for await (const { name } of Deno.readDir(MAJORS)) majors.push(Number(name));
  } catch {
    return undefined; // not Debian
  }
  for (const major of majors.sort((a, b) => b - a)) {
    const folder = `${MAJORS}/${major}/bin`;
    if (await exists(`${folder}/pg_rewind`) && await exists(`${folder}/initdb`)) return folder;
  }
}

const found: Record<keyof Programs, string | undefined> = {
  patroni: await find("patroni"),
  etcd: await find("etcd"),
  haproxy: await find("haproxy"),
  pgbouncer: await find("pgbouncer"),
  postgres: await findPostgres(),
};
const missing = Object.entries(found).filter(([, path]) => path === undefined)
  .map(([name]) => name);

/** A test that needs all programs, and gets them. Where one is missing it is ignored, and says so. */
export function topologyTest(name: string, fn: (programs: Programs) => Promise<void>): void {
  const ignore = missing.length > 0;
  Deno.test({
    name: ignore ? `${name} (ignored: there is no ${missing.join(", ")})` : name,
    ignore,
    fn: () => fn(found as Programs),
  });
}
