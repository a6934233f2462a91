/**
 * `deno task test:histories [--seconds N] [--seed S]`: gateway processes under random faults, every
 * answer checked against what an audit recorded; and all statements against all for deadlocks.
 *
 * @module
 */

import { runTests } from "../../scripts/test.ts";
import { summaryOf } from "../../scripts/junit.ts";
import { openWorkspace } from "../../scripts/workspace.ts";

const DEFAULT_SECONDS = "600";

/** Reads the number after a flag. */
function numberAfter(flag: string): string | undefined {
  const at = Deno.args.indexOf(flag);
  if (at < 0) return undefined;
  const given = Deno.args[at + 1];
  if (given === undefined || !/^\d+$/.test(given)) {
    throw new RangeError(`Cannot run histories: "${flag}" must be a number, received ${given}`);
  }
  return given;
}

if (import.meta.main) {
  Deno.env.set("HISTORIES_SECONDS", numberAfter("--seconds") ?? DEFAULT_SECONDS);
  const seed = numberAfter("--seed");
  if (seed !== undefined) Deno.env.set("HISTORIES_SEED", seed);
  const workspace = await openWorkspace();
  if (workspace.notice) console.log(workspace.notice);
  const run = await runTests(workspace, ["tests/histories/live"]);
  console.log(summaryOf(run));
  Deno.exit(run.failed > 0 || run.passed === 0 ? 1 : 0);
}
