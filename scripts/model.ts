/**
 * `deno task model`: checks all interleavings of the models in `tests/model/` with spin, shows that spin
 * finds each variant that is broken on purpose, and replays new random traces on the real stores.
 *
 * Words choose configurations: `deno task model voting BROKEN` runs all that have one of them in their model or
 * their constants, and `deno task model traces` only replays traces.
 *
 * `--traces` only makes the traces that are kept in `tests/model/traces/` again, after a change of a model.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { GuardedFolder } from "../tests/support/guarded_folder.ts";
import { BROKEN, type Run, SOUND, TRACED } from "./model/runs.ts";
import { check, type Found, missingPrograms, trace } from "./model/spin.ts";
import { runTests } from "./test.ts";
import { openWorkspace } from "./workspace.ts";

/** How many traces of each kind are kept, and how many are made anew. */
const KEPT = 8;
const FRESH = 100;

const KEPT_TRACES = fileURLToPath(new URL("../tests/model/traces", import.meta.url));

/** Checks one configuration. Returns what is wrong, if anything. */
async function judge(run: Run): Promise<string | undefined> {
  const found = await check(run);
  console.log(lineOf(run, found));
  const { violates } = run;
  if (violates !== undefined) {
    if (found.violation === undefined) return "the broken variant was not found";
    return violates.test(found.violation) ? undefined : `something else failed: ${found.violation}`;
  }
  if (found.violation !== undefined) return found.violation;
  return found.isComplete ? undefined : "not all paths were followed";
}

function lineOf({ model, constants, about }: Run, found: Found): string {
  const { states, depth, seconds, memoryMb, violation } = found;
  const what = violation === undefined ? "holds" : `finds ${violation.slice(0, 60)}`;
  const figures = `${states} states, depth ${depth}, ${seconds.toFixed(1)} s, ${
    Math.round(memoryMb)
  } MB`;
  return `${model} ${constants.join(" ")}\n  ${about}: ${what}; ${figures}`;
}

async function writeTraces(folder: string, count: number, firstSeed: number): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const texts: Record<string, string> = {};
  for (const traced of TRACED) {
    for (let i = 0; i < count; i++) {
      texts[traced.model] = (texts[traced.model] ?? "") + await trace(traced, firstSeed + i);
    }
  }
  for (const [model, text] of Object.entries(texts)) {
    await Deno.writeTextFile(`${folder}/${model}.txt`, text);
  }
}

async function replayFresh(): Promise<string[]> {
  await using folder = await GuardedFolder.create();
  const seed = Math.floor(Math.random() * 1_000_000);
  console.log(`replays ${FRESH} traces of each of ${TRACED.length} kinds from seed ${seed} on`);
  await writeTraces(folder.path, FRESH, seed);
  Deno.env.set("MODEL_TRACES", folder.path);
  const { failed, passed } = await runTests(await openWorkspace(), ["tests/model/replay_test.ts"]);
  return failed > 0 || passed === 0 ? [`traces from seed ${seed} on: the stores differ`] : [];
}

if (import.meta.main) {
  const missing = await missingPrograms();
  if (missing !== undefined) {
    console.error(missing);
    Deno.exit(1);
  }
  if (Deno.args.includes("--traces")) {
    await writeTraces(KEPT_TRACES, KEPT, 1);
    Deno.exit(0);
  }
  const words = Deno.args;
  const wrong: string[] = [];
  for (const run of [...SOUND, ...BROKEN]) {
    const text = [run.model, ...run.constants].join(" ");
    if (words.length > 0 && !words.some((word) => text.includes(word))) continue;
    const problem = await judge(run);
    if (problem !== undefined) wrong.push(`${run.model} ${run.constants.join(" ")}: ${problem}`);
  }
  if (words.length === 0 || words.includes("traces")) wrong.push(...await replayFresh());
  console.log(wrong.length === 0 ? "all models hold" : wrong.join("\n"));
  if (wrong.length > 0) Deno.exit(1);
}
