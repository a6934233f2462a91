import { BREAKER_EXPERIMENTS } from "./breaker_experiments.ts";
import { STALENESS_MS } from "./contenders.ts";
import type { Experiment } from "./experiment.ts";
import { FLEET_EXPERIMENTS } from "./fleet_experiments.ts";
import { METRICS_EXPERIMENT } from "./metrics_experiment.ts";
import { RULE_EXPERIMENTS } from "./rule_experiments.ts";
import { PROCESSES } from "./scenarios.ts";
import { measureSoak, SOAK_SECONDS } from "./soak.ts";
import { measurePropagation, type Propagation } from "./stale_propagation.ts";
import { type Fleet, measureFleets } from "./stale_scale.ts";
import { STATEMENT_EXPERIMENTS } from "./statement_experiments.ts";
import { countStatements, type StatementLoad } from "./stale_statements.ts";

/** How many times `maxStalenessMs` statements are counted for. */
const INTERVALS = { full: 10, quick: 5 };

/** How many transitions a quick run takes. */
const QUICK_TRANSITIONS = 10;

function statements(load: StatementLoad, name: string, title: string): Experiment {
  return {
    name: `stale-statements-${name}`,
    title: `${title}, 64 in flight, maxStalenessMs ${STALENESS_MS}`,
    isQuick: true,
    run: (stage, isQuick) =>
      countStatements(stage, load, {
        maxStalenessMs: STALENESS_MS,
        intervals: isQuick ? INTERVALS.quick : INTERVALS.full,
      }),
  };
}

function propagation(how: Propagation): Experiment {
  const { listens, maxStalenessMs, processes, transitions, changing } = how;
  const way = listens ? "listen" : "poll";
  return {
    name: changing > 0 ? `propagation-${way}` : `stale-propagation-${way}`,
    title: `${transitions} transitions seen by ${processes} other processes, ` +
      `${listens ? "listening" : "polling"}, maxStalenessMs ${maxStalenessMs}` +
      (changing > 0 ? `, while ${changing} circuits change once a second` : ""),
    isQuick: false,
    run: (stage, isQuick) =>
      measurePropagation(stage, {
        ...how,
        transitions: isQuick ? Math.min(transitions, QUICK_TRANSITIONS) : transitions,
      }),
  };
}

const FLEETS: Omit<Fleet, "records"> = {
  sizes: [10, 50, 200],
  processes: PROCESSES,
  circuits: 1000,
  maxStalenessMs: STALENESS_MS,
  intervals: 5,
};

function scale(records: boolean): Experiment {
  return {
    name: `stale-scale-${records ? "both" : "read"}`,
    title: `${FLEETS.sizes.join(", ")} instances x ${FLEETS.circuits} circuits in use, ` +
      `${records ? "getState + recordSuccess" : "getState"}, maxStalenessMs ${STALENESS_MS}`,
    isQuick: false,
    run: (stage) => measureFleets(stage, { ...FLEETS, records }),
  };
}

/** Every experiment, in the order in which they run. */
export const EXPERIMENTS: readonly Experiment[] = [
  statements({ kind: "gateway", circuits: 1 }, "1", "Healthy gateway, 1 circuit"),
  statements({ kind: "gateway", circuits: 100 }, "100", "Healthy gateway, 100 circuits"),
  statements({ kind: "denied" }, "open", "Open circuit under denied load"),
  ...[0, 100].flatMap((changing) => [
    propagation({
      listens: true,
      maxStalenessMs: STALENESS_MS,
      processes: 20,
      transitions: 50,
      changing,
    }),
    propagation({ listens: false, maxStalenessMs: 500, processes: 20, transitions: 25, changing }),
  ]),
  scale(false),
  scale(true),
  {
    name: "hot-circuit",
    title: `One circuit hammered from ${PROCESSES} processes`,
    isQuick: true,
    run: (stage, isQuick) => measureSoak(stage, isQuick ? SOAK_SECONDS / 10 : SOAK_SECONDS),
  },
  ...STATEMENT_EXPERIMENTS,
  ...RULE_EXPERIMENTS,
  METRICS_EXPERIMENT,
  ...BREAKER_EXPERIMENTS,
  ...FLEET_EXPERIMENTS,
];
