import { fileURLToPath } from "node:url";
import { atLeast, times, type Verdict } from "./bars.ts";
import type { BreakerFigures } from "./breaker_worker.ts";
import type { Experiment, Outcome } from "./experiment.ts";
import { ratios } from "./measure.ts";
import type { Stage } from "./stage.ts";

/**
 * How two contenders must compare: calls per second of the first over those of the second. Where neither
 * waits for a server, they are calls per second of CPU.
 */
interface BreakerBar {
  readonly over: string;
  readonly under: string;
  readonly atLeast: number;
  readonly waits?: true;
}

/** What must hold on each runtime, with one call and with many in flight. */
export const BREAKER_BARS: readonly BreakerBar[] = [
  { over: "ours, cached", under: "cockatiel, sampling", atLeast: 1 },
  { over: "ours, cached", under: "opossum", atLeast: 3 },
  { over: "ours, cached, callTimeoutMs", under: "opossum", atLeast: 1.5 },
  { over: "ours, consistent, record await", under: "acquire + report", atLeast: 0.9, waits: true },
];

/** The runtimes, with what makes each run a program. */
const RUNTIMES: Readonly<Record<string, string[]>> = {
  Deno: [
    Deno.execPath(),
    "run",
    "--allow-all",
    "--no-lock",
    "--no-config",
    "--v8-flags=--expose-gc",
  ],
  Node: ["node", "--expose-gc"],
};

async function compare(stage: Stage, isQuick: boolean): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "bench_breaker_" });
  const lines: string[] = [];
  const figures: Record<string, unknown> = {};
  const verdicts: Verdict[] = [];
  try {
    const program = `${folder}/worker.mjs`;
    await bundle(program);
    await using database = await stage.createDatabase();
    for (const [runtime, command] of Object.entries(RUNTIMES)) {
      const rounds = isQuick ? "7" : "25";
      const measured = await run([...command, program, database.url, rounds]);
      if (measured === undefined) {
        lines.push(`${runtime} is left out: it is not on the path`);
        continue;
      }
      figures[runtime] = measured;
      lines.push(
        `${runtime}, calls per second with 1 and 64 in flight, us of CPU, bytes per call:`,
      );
      for (const [name, each] of Object.entries(measured)) lines.push(`  ${lineOf(name, each)}`);
      verdicts.push(...verdictsOf(runtime, measured));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return { lines, figures, verdicts };
}

/** One file that every runtime can run, without packages beside it. */
async function bundle(to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--no-lock", "--no-check", "--platform=deno", "--output", to],
      fileURLToPath(new URL("./breaker_worker.ts", import.meta.url)),
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot bundle the worker: ${new TextDecoder().decode(stderr)}`);
}

/** Runs the program; `undefined` where the runtime is missing. */
async function run(
  [command, ...args]: string[],
): Promise<Record<string, BreakerFigures> | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command!, { args, stderr: "inherit" })
      .output();
    if (!success) throw new Error(`Cannot measure breakers: ${command} has failed`);
    return JSON.parse(new TextDecoder().decode(stdout));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function lineOf(name: string, { rates, cpu, bytes }: BreakerFigures): string {
  const shown = [
    ...[1, 64].map((inFlight) => Math.round(median(rates[inFlight]!)).toLocaleString("en")),
    ...[1, 64].map((inFlight) => median(cpu[inFlight]!).toFixed(2)),
  ].map((figure) => figure.padStart(11));
  return `${name.padEnd(32)}${shown.join("")}${(bytes?.toFixed(0) ?? "").padStart(8)}`;
}

function verdictsOf(runtime: string, figures: Record<string, BreakerFigures>): Verdict[] {
  return BREAKER_BARS.flatMap(({ over, under, atLeast: limit, waits }) =>
    [1, 64].map((inFlight) =>
      atLeast(
        `breaker: ${runtime}, ${inFlight} in flight: ${over} / ${under}`,
        waits
          ? ratios(figures[over]!.rates[inFlight]!, figures[under]!.rates[inFlight]!)[1]
          : ratios(figures[under]!.cpu[inFlight]!, figures[over]!.cpu[inFlight]!)[1],
        limit,
        times,
      )
    )
  );
}

function median(numbers: number[]): number {
  return ratios(numbers, numbers.map(() => 1))[1];
}

/** What a guarded call costs, beside the peers, with the bars of {@linkcode BREAKER_BARS}. */
export const BREAKER_EXPERIMENTS: readonly Experiment[] = [
  {
    name: "breaker",
    title: "Calls that a breaker guards, beside cockatiel and opossum",
    isQuick: true,
    run: compare,
  },
];
