/**
 * The operator's window on the terminal, as the program that `deno run` starts. See {@linkcode runCli}.
 *
 * ```sh
 * deno run -A jsr:@circuit-breaker/postgres/cli list
 * ```
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { runCli } from "@circuit-breaker/postgres/cli";
 *
 * assertEquals(await runCli(["help", "list"]), 0);
 * ```
 *
 * @module
 */

import { main } from "./cli.ts";

export { main, runCli } from "./cli.ts";

if (import.meta.main) await main(import.meta.url);
