/**
 * The runtimes that the package is tested on, and how a program is run on each.
 *
 * @module
 */

import type { CaseResult } from "../../../tests/npm/cases.ts";
import type { ProgramQueue } from "./program_queue.ts";
import type { Result } from "./report.ts";

/** A runtime of this machine. */
export interface Runtime {
  readonly name: string;
  /** What comes in front of the program. */
  readonly command: readonly string[];
  /** The drivers that it is tested with. */
  readonly drivers: readonly string[];
}

const BUN_FROM_NPM = "bun@1.4.5";

/** The runtimes there are here, and why others are not. */
export async function findRuntimes(
  queue: ProgramQueue,
): Promise<{ found: Runtime[]; missing: { name: string; reason: string }[] }> {
  const found: Runtime[] = [
    {
      name: `Node ${(await queue.runOk(["node", "--version"], queue.path)).trim().slice(1)}`,
      command: ["node"],
      drivers: ["pg", "postgres"],
    },
    {
      name: `Deno ${Deno.version.deno}`,
      command: [
        Deno.execPath(),
        "run",
        "--quiet",
        "--allow-all",
        "--no-lock",
        "--node-modules-dir=manual",
      ],
      drivers: ["pg", "postgres"],
    },
  ];
  for (const command of [["bun"], ["npx", "-y", BUN_FROM_NPM]]) {
    const version = await versionOf(queue, command);
    if (version === undefined) continue;
    found.push({
      name: `Bun ${version}`,
      command: [...command, "run"],
      drivers: ["bun", "postgres"],
    });
    return { found, missing: [] };
  }
  const reason = "there is no Bun on the path, and none from npm";
  return { found, missing: [{ name: "Bun", reason }] };
}

async function versionOf(
  queue: ProgramQueue,
  command: readonly string[],
): Promise<string | undefined> {
  try {
    const { success, stdout } = await queue.run([...command, "--version"], queue.path);
    return success ? stdout.trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Runs a program that prints a line for each of its cases. */
export async function runProgram(
  queue: ProgramQueue,
  runtime: Runtime,
  project: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Result[]> {
  const outcome = await queue.run([...runtime.command, ...args], project, env);
  const results: CaseResult[] = [];
  const rest: string[] = [];
  for (const line of outcome.output.split("\n")) {
    if (line.startsWith('{"name":')) results.push(JSON.parse(line));
    else rest.push(line);
  }
  if (outcome.success && results.length > 0) return results;
  return [...results, { name: "runs to its end", failure: rest.join("\n") || "no output" }];
}
