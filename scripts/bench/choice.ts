import { isBarred } from "./bars.ts";
import type { Experiment } from "./experiment.ts";
import { EXPERIMENTS } from "./experiments.ts";
import type { BenchOptions } from "./options.ts";
import { type Scenario, SCENARIOS, select } from "./scenarios.ts";

/** Everything that can be run, in the order in which it runs. */
export const EVERYTHING: readonly (Scenario | Experiment)[] = [...SCENARIOS, ...EXPERIMENTS];

/** What is to be run. Experiments are all about one contender, and left out with it. */
export function choose(
  { only, quick, contenders }: Pick<BenchOptions, "only" | "quick" | "contenders">,
): (Scenario | Experiment)[] {
  return select(EVERYTHING, only).filter((each) => {
    if (!isExperiment(each)) return !quick || isBarred(each.name);
    return contenders.includes("stale") && (!quick || each.isQuick || only.length > 0);
  });
}

/** Whether it is an experiment rather than a load for several contenders. */
export function isExperiment(each: Scenario | Experiment): each is Experiment {
  return "run" in each;
}
