import type { Verdict } from "./bars.ts";
import type { Outcome } from "./experiment.ts";
import { ProcessGroup } from "./process_load.ts";
import { size } from "./report.ts";
import { PROCESSES } from "./scenarios.ts";
import type { Stage } from "./stage.ts";

const IN_FLIGHT = 64;
const SAMPLES = 12;
const MAX_BYTES = 1_000_000;
const MAX_DEAD_ROWS = 1_000;

/** How long a soak is unless it was asked for in another length. */
export const SOAK_SECONDS = 60;

/** What the table looked like at one moment of the soak. */
export interface SoakSample {
  /** When, from the start. */
  seconds: number;
  /** Successes recorded until the end of this part of the soak. */
  operations: number;
  tableBytes: number;
  deadRows: number;
}

/** Hammers one circuit from several processes and looks at its table from time to time. */
export async function soak(
  stage: Stage,
  seconds: number,
  print: (line: string) => void,
): Promise<{ samples: SoakSample[]; verdicts: Verdict[] }> {
  const database = stage.database("ours")!;
  await database.fill(1);
  await using group = await ProcessGroup.start(PROCESSES, [stage.endpoint("ours")]);
  const load = group.load("ours", { operation: "record", circuits: 1, inFlight: IN_FLIGHT });
  const part = seconds / SAMPLES;
  const samples: SoakSample[] = [];
  print(`recordSuccess, 1 circuit, ${PROCESSES} processes x ${IN_FLIGHT} in flight  (soak)`);
  let operations = (await load.warmUp(part / 10)).operations;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const running = load.round(part);
    // In the middle of the load: afterwards, vacuum would have time to tidy up.
    await new Promise((resolve) => setTimeout(resolve, part * 500));
    const { bytes, deadRows } = await database.facts();
    operations += (await running).operations;
    samples.push({ seconds: part * (sample + 0.5), operations, tableBytes: bytes, deadRows });
    print(
      `  ${(part * (sample + 1)).toFixed(0).padStart(4)} s` +
        `${operations.toLocaleString("en").padStart(14)} recorded` +
        `${size(bytes).padStart(9)}${String(deadRows).padStart(7)} dead rows`,
    );
  }
  return { samples, verdicts: verdictsOf(samples) };
}

/** The same as one experiment among others. */
export async function measureSoak(stage: Stage, seconds: number): Promise<Outcome> {
  const lines: string[] = [];
  const { samples, verdicts } = await soak(stage, seconds, (line) => lines.push(line.trim()));
  return { lines, figures: { samples }, verdicts };
}

function verdictsOf(samples: SoakSample[]): Verdict[] {
  const bytes = Math.max(...samples.map((sample) => sample.tableBytes));
  const deadRows = Math.max(...samples.map((sample) => sample.deadRows));
  return [
    {
      what: "hot circuit: size of its table with its index",
      measured: bytes,
      shown: size(bytes),
      required: `below ${size(MAX_BYTES)}`,
      ok: bytes < MAX_BYTES,
    },
    {
      what: "hot circuit: dead rows at any time",
      measured: deadRows,
      shown: String(deadRows),
      required: `at most ${MAX_DEAD_ROWS}`,
      ok: deadRows <= MAX_DEAD_ROWS,
    },
  ];
}
