/**
 * `deno task mutants [subjects or files] [--workers=2] [--report=FILE] [--again=FILE] [--proof=N]
 * [--minutes=N]`: changes the sources at one place at a time, and shows the changes that no test notices.
 *
 * `--minutes` ends each judging after that time: what was judged is a random sample.
 * `--again` judges only what survived in an earlier report. `--proof` lets `deno test` judge again all
 * that survived, and N that did not.
 *
 * @module
 */

import { createDatabase } from "../tests/support/database.ts";
import { GuardedFolder } from "../tests/support/guarded_folder.ts";
import { startPostgres } from "../tests/support/postgres_server.ts";
import { filesOf, instrument, type Mutant } from "./mutants/instrument.ts";
import { summaryOf, survivorLine } from "./mutants/summary.ts";
import { type Subject, SUBJECTS } from "./mutants/subjects.ts";
import type { Place } from "./mutants/runner_process.ts";
import { Trial, type Verdict } from "./mutants/trial.ts";
import { openWorkspace, ROOT, type Workspace } from "./workspace.ts";

/** Tests of random histories play few of them: how many, or for how many milliseconds. */
const BRIEF = { RUNS: "200", CACHE_LIMIT: "3000" };

interface Options {
  readonly subjects: readonly Subject[];
  readonly workers: number;
  readonly report: string | undefined;
  readonly again: string | undefined;
  readonly proof: number | undefined;
  readonly minutes: number;
}

function optionsOf(args: readonly string[]): Options {
  const named = args.filter((arg) => !arg.startsWith("--"));
  const value = (name: string) =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const proof = value("proof");
  return {
    subjects: named.length === 0 ? SUBJECTS : named.map(subjectOf),
    workers: Number(value("workers") ?? 2),
    report: value("report"),
    again: value("again"),
    proof: proof === undefined ? undefined : Number(proof),
    minutes: Number(value("minutes") ?? Infinity),
  };
}

function subjectOf(given: string): Subject {
  for (const subject of SUBJECTS) {
    if (subject.name === given) return subject;
    const holds = (path: string) => given === path || given.startsWith(`${path}/`);
    if (subject.sources.some(holds)) return { ...subject, sources: [given] };
  }
  const names = SUBJECTS.map(({ name }) => name).join(", ");
  throw new TypeError(`Cannot find mutants: "${given}" is none of ${names}, and no file in them`);
}

async function judge(
  { sources, tests, patientTests = [] }: Subject,
  { workers, again, proof, minutes }: Options,
  workspace: Workspace,
  url: string,
): Promise<Verdict[]> {
  await using folder = await GuardedFolder.create();
  const copy = new URL(`file://${folder.path}/`);
  const all = await instrument(copy, sources);
  const mutants = shuffled(again === undefined ? all : await survivorsOf(again, all));
  const place = {
    folder: copy,
    // The package's own name means the copy, too.
    flags: workspace.flags.map((flag) =>
      flag.replaceAll(encodeURIComponent(`${ROOT.href}`), encodeURIComponent(copy.href))
    ),
    env: { DATABASE_URL: url, JSR_REACHABLE: workspace.jsrReachable ? "1" : "0", ...BRIEF },
  };
  const [trial, verdicts] = await tryAll(place, tests, mutants, workers, minutes);
  const survived = verdicts.filter(hasSurvived);
  if (patientTests.length > 0 && survived.length > 0) {
    const [, later] = await tryAll(place, patientTests, survived, workers, minutes);
    for (const verdict of later) {
      const index = verdicts.findIndex(({ id }) => id === verdict.id);
      if (!hasSurvived(verdict)) verdicts[index] = verdict;
    }
  }
  return proof === undefined ? verdicts : await prove(trial, verdicts, proof);
}

function hasSurvived({ fate }: Verdict): boolean {
  return fate === "survived" || fate === "unreached";
}

/** Judges mutants by the tests of some files and folders. */
async function tryAll(
  place: Place,
  tests: readonly string[],
  mutants: readonly Mutant[],
  workers: number,
  minutes: number,
): Promise<[Trial, Verdict[]]> {
  const files: string[] = [];
  for (const path of tests) {
    files.push(...await filesOf(path, (name) => name.endsWith("_test.ts")));
  }
  const trial = await Trial.prepare(place, files.map((file) => new URL(file, place.folder).href));
  const { size, unsound } = trial;
  console.log(`${mutants.length} mutants, ${size.tests} tests (${(size.ms / 1000).toFixed(1)} s)`);
  for (const test of unsound) console.log(`judges nothing, since it fails in any case: ${test}`);
  const until = performance.now() + minutes * 60_000;
  let judged = 0;
  const verdicts = await trial.judge(mutants, workers, until, (verdict) => {
    if (++judged % 100 === 0) console.log(`${judged} of ${mutants.length}`);
    if (hasSurvived(verdict)) console.log(survivorLine(verdict));
  });
  return [trial, verdicts];
}

async function survivorsOf(report: string, mutants: readonly Mutant[]): Promise<Mutant[]> {
  const before: Verdict[] = JSON.parse(await Deno.readTextFile(report));
  const nameOf = ({ file, original, replacement, line, column }: Mutant) =>
    [file, line, column, original, replacement].join(" ");
  const survived = new Set(
    before.filter(hasSurvived).map(nameOf),
  );
  return mutants.filter((mutant) => survived.has(nameOf(mutant)));
}

/** So that those that were judged when the time is over are a sample of all. */
function shuffled<Each>(list: readonly Each[]): Each[] {
  return list.map((each) => ({ each, at: Math.random() })).sort((a, b) => a.at - b.at)
    .map(({ each }) => each);
}

/** `deno test` also sees what a test leaks. It must agree about what did not survive. */
async function prove(trial: Trial, verdicts: Verdict[], count: number): Promise<Verdict[]> {
  const proved: Verdict[] = [];
  const fallen = verdicts.filter(({ fate }) => fate === "killed");
  const sample = new Set(shuffled(fallen).slice(0, count));
  for (const verdict of verdicts) {
    if (verdict.fate !== "survived" && !sample.has(verdict)) proved.push(verdict);
    else {
      const isNoticed = await trial.isNoticedByDeno(verdict);
      if (verdict.fate === "killed" && !isNoticed) {
        console.log(`deno test does not notice: ${survivorLine(verdict)}`);
      }
      const test = verdict.test ?? "deno test";
      proved.push(
        isNoticed ? { ...verdict, fate: "killed", test } : { ...verdict, fate: "survived" },
      );
    }
  }
  console.log(`deno test judged ${sample.size} that did not survive, and all survivors`);
  return proved;
}

if (import.meta.main) {
  const options = optionsOf(Deno.args);
  const workspace = await openWorkspace();
  await using resources = new AsyncDisposableStack();
  const admin = Deno.env.get("DATABASE_URL") || resources.use(await startPostgres()).url;
  const verdicts: Verdict[] = [];
  for (const subject of options.subjects) {
    const { url } = resources.use(await createDatabase(admin));
    console.log(`\n${subject.name}: ${subject.sources.join(", ")}`);
    const found = await judge(subject, options, workspace, url);
    console.log(summaryOf(subject.name, found));
    verdicts.push(...found);
    if (options.report !== undefined) {
      await Deno.writeTextFile(options.report, JSON.stringify(verdicts, null, 1));
    }
  }
}
