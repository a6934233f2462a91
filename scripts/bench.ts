/**
 * Measures this store side by side with its alternatives on real servers, prints a table, writes
 * JSON, and says whether the bars hold.
 *
 * Runs on a PostgreSQL it starts itself, or on the one that `DATABASE_URL` names.
 *
 * @module
 */

import { check, isBarred, type Verdict } from "./bench/bars.ts";
import { choose, EVERYTHING, isExperiment } from "./bench/choice.ts";
import type { Experiment, Finding } from "./bench/experiment.ts";
import { type BenchOptions, parseOptions, USAGE } from "./bench/options.ts";
import { measure, type Pace } from "./bench/measure.ts";
import { LEGEND, lineOf, type Measurement, paragraphOf, tableOf } from "./bench/report.ts";
import type { Scenario } from "./bench/scenarios.ts";
import { soak, type SoakSample } from "./bench/soak.ts";
import { Stage } from "./bench/stage.ts";
import { prepare } from "./bench/subjects.ts";

/** Everything that a run found out. */
export interface BenchReport {
  machine: Record<string, unknown>;
  measurements: Measurement[];
  findings: Finding[];
  soak?: SoakSample[];
  verdicts: Verdict[];
}

/** Runs the loads, or the soak, and prints each result as soon as its load is over. */
export async function bench(
  options: BenchOptions,
  print: (line: string) => void,
): Promise<BenchReport> {
  const chosen = choose(options);
  await using stage = await Stage.open();
  const release = endOnSignal(stage);
  try {
    return await runAll(stage, chosen, options, print);
  } finally {
    await release();
  }
}

async function runAll(
  stage: Stage,
  chosen: (Scenario | Experiment)[],
  options: BenchOptions,
  print: (line: string) => void,
): Promise<BenchReport> {
  const report: BenchReport = {
    machine: machineOf(stage),
    measurements: [],
    findings: [],
    verdicts: [],
  };
  print(Object.entries(report.machine).map(([name, value]) => `${name} ${value}`).join(", "));
  if (!stage.has("redis")) print("redis is left out: there is no redis-server on the path");
  if (options.soak) {
    const { samples, verdicts } = await soak(stage, options.soakSeconds, print);
    report.soak = samples;
    report.verdicts = verdicts;
  } else {
    print(`\n${LEGEND}\n`);
    for (const each of chosen) {
      if (isExperiment(each)) {
        const { name, title } = each;
        const finding = { name, title, ...await each.run(stage, options.quick) };
        print(`${paragraphOf(finding)}\n`);
        report.findings.push(finding);
        report.verdicts.push(...finding.verdicts);
        continue;
      }
      const measurement = await run(stage, each, options);
      print(`${tableOf(measurement)}\n`);
      report.measurements.push(measurement);
      report.verdicts.push(...check(each, measurement.results));
    }
  }
  for (const verdict of report.verdicts) print(lineOf(verdict));
  return report;
}

async function run(stage: Stage, scenario: Scenario, options: BenchOptions): Promise<Measurement> {
  await using prepared = await prepare(stage, scenario, options.contenders);
  const results = await measure(
    prepared.subjects,
    prepared.callsPerOperation,
    paceOf(scenario, options),
  );
  return { scenario, results };
}

/** A load with a bar gets more rounds. Shorter rounds expose all contenders to the same noise. */
function paceOf(scenario: Scenario, { seconds, rounds }: BenchOptions): Pace {
  const count = isBarred(scenario.name) ? rounds : Math.min(rounds, 3);
  const split = isBarred(scenario.name) ? splitOf(scenario) : 1;
  return {
    rounds: count * split,
    secondsPerRound: seconds / split,
    warmUpSeconds: Math.min(0.3, seconds),
  };
}

/**
 * With one call at a time, a disk that is slow for half a second outweighs the compared difference. A
 * busy machine does the same where two gateways differ by a few percent. Short rounds spread such noise
 * over all contenders.
 */
function splitOf({ kind, inFlight }: Scenario): number {
  if (inFlight === 1) return 20;
  return kind === "gateway" ? 4 : 1;
}

function machineOf({ servers }: Stage): Record<string, unknown> {
  return {
    cores: navigator.hardwareConcurrency,
    // What the machine was busy with before: above the number of cores, the figures are noise.
    load: Deno.loadavg()[0]!.toFixed(1),
    Deno: Deno.version.deno,
    PostgreSQL: servers.postgres,
    ...servers.redis ? { Redis: servers.redis } : {},
  };
}

/**
 * Ends everything that was started, and this process, when a signal asks for it. The returned function
 * stops this. It never resolves after a signal.
 */
function endOnSignal(stage: Stage): () => Promise<void> {
  let ending = Promise.resolve();
  const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
  const handlers = Object.entries(signals).map(([signal, code]) => {
    const handler = () => {
      ending = stage[Symbol.asyncDispose]().finally(() => Deno.exit(code));
    };
    Deno.addSignalListener(signal as Deno.Signal, handler);
    return () => Deno.removeSignalListener(signal as Deno.Signal, handler);
  });
  return async () => {
    await ending;
    handlers.forEach((remove) => remove());
  };
}

async function main(args: string[]): Promise<number> {
  let options: BenchOptions | undefined;
  try {
    options = parseOptions(args);
    if (options) choose(options);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return 2;
  }
  if (options === undefined || options.list) {
    console.log(
      options ? EVERYTHING.map(({ name }) => name).join("\n") : USAGE,
    );
    return 0;
  }
  const report = await bench(options, (line) => console.log(line));
  const path = options.json ?? await Deno.makeTempFile({ prefix: "bench_", suffix: ".json" });
  await Deno.writeTextFile(path, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`figures: ${path}`);
  const missed = report.verdicts.filter((verdict) => !verdict.ok).length;
  return options.strict && missed > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
