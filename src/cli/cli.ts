/**
 * The operator's window on the terminal: `npx @circuit-breaker/postgres`, `bunx @circuit-breaker/postgres`
 * or `deno run -A jsr:@circuit-breaker/postgres/cli`. It lists, shows, watches and forces circuits, migrates
 * the tables, and finds what is wrong.
 *
 * Exit codes: 0 done; 1 `doctor` found a problem, or the database refused the command; 2 the command line is
 * wrong; 3 the database cannot be reached, does not answer in time, or takes no writes; 4 not confirmed; 5 no
 * circuit has the key; 130 and 143 `watch` was ended by Ctrl-C or SIGTERM.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { runCli } from "@circuit-breaker/postgres/cli";
 *
 * assertEquals(await runCli(["--version"]), 0);
 * ```
 *
 * @module
 */

import { nodeProcess } from "./node.ts";
import { run } from "./run.ts";
import { processTerminal } from "./terminal.ts";

/**
 * Runs one command as the program does: it reads the environment, and writes to the standard output and the
 * standard error of the process. It does not end the process, and throws nothing.
 *
 * @param args The words of the command line, without the program's own.
 * @param home The address of a module: drivers are looked for in the folder of the process, and then as this
 * module would find them.
 * @default {undefined}
 * @returns The exit code.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { runCli } from "@circuit-breaker/postgres/cli";
 *
 * assertEquals(await runCli(["lst"]), 2); // it suggests "list"
 * ```
 */
export function runCli(args: readonly string[], home?: string): Promise<number> {
  return run(args, processTerminal(), home);
}

/**
 * The program: runs the command line of the process, and ends the process with the exit code.
 *
 * @param home As in {@linkcode runCli}.
 * @default {undefined}
 *
 * @example As the file that npm runs
 * ```ts ignore
 * import { main } from "@circuit-breaker/postgres/cli";
 *
 * await main(import.meta.url);
 * ```
 */
export async function main(home?: string): Promise<void> {
  const code = await runCli(nodeProcess.argv.slice(2), home);
  // Connections that hang would keep the process alive. Everything is written by now.
  nodeProcess.exit(code);
}
