/**
 * What the scripts have to know of this package: its exports, and which of its imports can be had on
 * this machine.
 *
 * @module
 */

/** The folder that holds deno.json. */
export const ROOT: URL = new URL("../", import.meta.url);

// A registry that answers at all answers well within this.
const PROBE_TIMEOUT_MS = 20_000;

/** What answers a JSR package where JSR cannot be reached. What is not here is left out. */
const STAND_INS: Record<string, string> = {
  "@std/assert": "./tests/support/std_assert/mod.ts",
};

interface Config {
  name: string;
  exports: Record<string, string>;
  imports: Record<string, string>;
}

/** The package, and how to run its test files here. */
export interface Workspace {
  /** The files that the package exports, relative to its root. */
  readonly exports: string[];
  /** Flags with which every import of the tests resolves: none where deno.json is enough. */
  readonly flags: string[];
  /** Whether all JSR packages can be had. */
  readonly jsrReachable: boolean;
  /** One line that says what is missing, and what that means. Empty where nothing is. */
  readonly notice: string;
}

/** Reads deno.json and finds out which JSR packages can be had. */
export async function openWorkspace(): Promise<Workspace> {
  const config: Config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const missing = await unreachable(config.imports);
  const isReachable = missing.length === 0;
  return {
    exports: Object.values(config.exports),
    flags: isReachable ? [] : [`--import-map=${importMap(config, missing)}`],
    jsrReachable: isReachable,
    notice: isReachable ? "" : noticeOf(missing),
  };
}

async function unreachable(imports: Record<string, string>): Promise<string[]> {
  const packages = Object.entries(imports).filter(([, specifier]) => specifier.startsWith("jsr:"));
  const probes = packages.map(async ([name, specifier]) => await canLoad(specifier) ? [] : [name]);
  return (await Promise.all(probes)).flat();
}

/** A package in Deno's cache can be had too: it loads without the registry. */
async function canLoad(specifier: string): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", "--no-config", "--no-lock", specifier],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  }).output();
  return success;
}

/** The imports of deno.json as far as they can be had, the package itself among them. */
function importMap(config: Config, missing: string[]): string {
  const imports: Record<string, string> = {};
  for (const [name, specifier] of Object.entries(config.imports)) {
    const answer = missing.includes(name) ? STAND_INS[name] : specifier;
    if (answer !== undefined) imports[name] = absolute(answer);
  }
  for (const [path, file] of Object.entries(config.exports)) {
    imports[config.name + path.slice(1)] = absolute(file);
  }
  return `data:application/json,${encodeURIComponent(JSON.stringify({ imports }))}`;
}

function absolute(specifier: string): string {
  return specifier.startsWith("./") ? new URL(specifier, ROOT).href : specifier;
}

function noticeOf(missing: string[]): string {
  const consequences = missing.map((name) =>
    name in STAND_INS
      ? `${STAND_INS[name]} answers ${name}`
      : `tests of the real ${name} are ignored`
  );
  return `JSR is not reachable: ${consequences.join(", ")}`;
}
