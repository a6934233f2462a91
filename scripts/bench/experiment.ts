import type { Verdict } from "./bars.ts";
import type { Stage } from "./stage.ts";

/** A promise that is measured by itself, not beside other contenders. */
export interface Experiment {
  /** What `--only` selects: words joined by dashes, from the general to the particular. */
  name: string;
  /** What the report calls it. */
  title: string;
  /** Whether it belongs to a quick run, in which it is given less time. */
  isQuick: boolean;
  run(stage: Stage, isQuick: boolean): Promise<Outcome>;
}

/** What an experiment came to. */
export interface Outcome {
  /** For people. */
  lines: string[];
  /** For programs. */
  figures: Record<string, unknown>;
  verdicts: Verdict[];
}

/** An outcome under the name of its experiment. */
export interface Finding extends Outcome {
  name: string;
  title: string;
}

/** What an experiment says that cannot take place here. */
export function leftOut(reason: string): Outcome {
  return { lines: [`left out: ${reason}`], figures: {}, verdicts: [] };
}
