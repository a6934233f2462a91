/**
 * `deno task ok [--no-tests]`: the gate. One line for each step; the first one that fails ends it
 * with that step's output.
 *
 * @module
 */

import { summaryOf } from "./junit.ts";
import { runTests } from "./test.ts";
import { openWorkspace, ROOT, type Workspace } from "./workspace.ts";

interface Outcome {
  success: boolean;
  output: string;
  summary?: string;
}

type Step = [name: string, run: () => Promise<Outcome>];

function stepsOf(workspace: Workspace, withTests: boolean): Step[] {
  const steps: Step[] = [
    ["fmt", () => deno("fmt", "--check")],
    ["lint", () => deno("lint")],
    ["check", () => deno("check", "--no-lock", ...workspace.flags, ".")],
    ["doc", () => deno("doc", "--lint", ...workspace.exports)],
    ["publish", () => deno("publish", "--dry-run", "--allow-dirty")],
  ];
  if (withTests) steps.push(["test", () => test(workspace)]);
  return steps;
}

async function deno(...args: string[]): Promise<Outcome> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function test(workspace: Workspace): Promise<Outcome> {
  const run = await runTests(workspace, [], true);
  return {
    success: run.failed === 0 && run.passed > 0,
    output: run.output,
    summary: summaryOf(run),
  };
}

const workspace = await openWorkspace();
if (workspace.notice) console.log(workspace.notice);
for (const [name, run] of stepsOf(workspace, !Deno.args.includes("--no-tests"))) {
  const start = performance.now();
  const { success, output, summary } = await run();
  if (!success) console.log(output.trimEnd());
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${name.padEnd(8)} ${success ? "ok" : "FAILED"} (${seconds} s)`);
  if (summary) console.log(summary);
  if (!success) Deno.exit(1);
}
