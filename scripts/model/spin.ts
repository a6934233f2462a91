/** Runs spin on a model: the exhaustive check, and random traces. */

import { fileURLToPath } from "node:url";
import { GuardedFolder } from "../../tests/support/guarded_folder.ts";
import type { Run } from "./runs.ts";

const MODELS = new URL("../../tests/model/", import.meta.url);

/** No check may take more memory than this, in megabytes. */
const MEMORY_MB = 2000;
/** No path may be longer than this. The longest is shorter than 400 steps. */
const DEPTH = 100_000;

/** What spin found. */
export interface Found {
  /** Whether all paths were followed to their ends. */
  readonly isComplete: boolean;
  /** The violated assertion, or the endless path; `undefined` where there is none. */
  readonly violation: string | undefined;
  readonly states: number;
  readonly depth: number;
  readonly seconds: number;
  readonly memoryMb: number;
}

/** Says what to install where a program is missing; `undefined` where nothing is. */
export async function missingPrograms(): Promise<string | undefined> {
  for (const [program, flag] of [["spin", "-V"], ["gcc", "--version"]] as const) {
    try {
      await run(program, [flag]);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return `Cannot check the models: ${program} is not installed. On Debian: apt-get install spin gcc`;
    }
  }
}

/** Follows all paths of a configuration. */
export async function check({ model, constants, endless = false }: Run): Promise<Found> {
  await using folder = await GuardedFolder.create();
  const { path } = folder;
  await succeed("spin", [...flagsOf(constants), "-a", pathOf(model)], path);
  const mode = endless ? "-DNP" : "-DSAFETY";
  const flags = ["-O2", "-w", mode, "-DCOLLAPSE", `-DMEMLIM=${MEMORY_MB}`];
  await succeed("gcc", [...flags, "-o", "pan", "pan.c"], path);
  const beganAt = performance.now();
  // It takes minutes: where this process is ended, it ends too.
  const checker = await folder.spawn(`${path}/pan`, {
    args: [`-m${DEPTH}`, ...endless ? ["-l"] : []],
    cwd: path,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
  const output = await new Response(checker.stdout).text();
  await checker.status;
  await folder.forget();
  const seconds = (performance.now() - beganAt) / 1000;
  return { ...foundIn(output), seconds };
}

/** Reads what the checker of spin prints. */
export function foundIn(output: string): Omit<Found, "seconds"> {
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? NaN);
  const violation = /^pan:1: (.*) \(at depth \d+\)$/m.exec(output)?.[1];
  return {
    isComplete: !/Search not completed|max search depth too small|out of memory|reached -DMEMLIM/
      .test(output) && number(/errors: (\d+)/) === 0,
    violation,
    states: number(/^ *([0-9.e+]+) states, stored/m),
    depth: number(/depth reached (\d+)/),
    memoryMb: number(/^ *([0-9.]+)\ttotal actual memory usage/m),
  };
}

/** A trace by chance: the lines that the model prints. */
export async function trace(
  { model, constants }: Pick<Run, "model" | "constants">,
  seed: number,
): Promise<string> {
  const flags = [`-n${seed}`, "-u3000", "-T", ...flagsOf(constants)];
  // spin writes what it has preprocessed into the folder where it runs.
  await using folder = await GuardedFolder.create();
  const output = await run("spin", [...flags, pathOf(model)], folder.path);
  const lines = output.split("\n").map((line) => line.trim());
  const steps = lines.filter((line) => /^[A-Z_]+( \d+)+$/.test(line));
  return [`# ${model} ${constants.join(" ")} seed=${seed}`, ...steps, ""].join("\n");
}

function flagsOf(constants: readonly string[]): string[] {
  return constants.map((constant) => `-D${constant}`);
}

function pathOf(model: string): string {
  return fileURLToPath(new URL(`${model}.pml`, MODELS));
}

async function succeed(program: string, args: string[], cwd: string): Promise<void> {
  const { success, stdout, stderr } = await spawn(program, args, cwd);
  if (success) return;
  const text = new TextDecoder();
  throw new Error(
    `Cannot check a model: ${program} failed. ${text.decode(stdout)}${text.decode(stderr)}`,
  );
}

async function run(program: string, args: string[], cwd?: string): Promise<string> {
  return new TextDecoder().decode((await spawn(program, args, cwd)).stdout);
}

function spawn(program: string, args: string[], cwd?: string): Promise<Deno.CommandOutput> {
  return new Deno.Command(program, { args, cwd, stdin: "null" }).output();
}
