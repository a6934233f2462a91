import { atMost, times, type Verdict } from "./bars.ts";
import type { Experiment, Outcome } from "./experiment.ts";
import { type FleetCost, type FleetLoad, linesOf, measureFleet } from "./fleet.ts";
import { size } from "./report.ts";
import { PROCESSES } from "./scenarios.ts";
import type { Stage } from "./stage.ts";

/** What a fleet of 1,000 instances that use 1,000 circuits each may cost. */
export const FLEET_BARS = {
  serverCores: 0.3,
  /** With `countWithinMs` {@linkcode OFTEN_MS}. */
  serverCoresOften: 0.5,
  walBytes: 3e6,
  outages: 0,
  perInterval: 1.2,
  refreshP99Ms: 50,
  tableBytes: 20e6,
  /** Server CPU of 1,000 instances over that of 10. */
  instancesGrowth: 70,
  /** Server CPU of 100 instances with 10,000 circuits over that with 100, nothing changing. */
  circuitsGrowth: 2,
} as const;

const OFTEN_MS = 10_000;
const MINUTE_MS = 60_000;

const BUSY: Omit<FleetLoad, "warmUpMs" | "measuredMs"> = {
  instances: 1000,
  circuits: 1000,
  processes: PROCESSES,
  connections: 10,
  options: { maxStalenessMs: 1000 },
  roundMs: 5000,
  records: true,
};

const SHARED =
  `instances share ${BUSY.processes} processes with ${BUSY.connections} connections each, ` +
  `and the machine with the server`;

const cores = (figure: number) => `${figure.toFixed(3)} cores`;

function fleet(name: string, options: FleetLoad["options"], mostCores: number): Experiment {
  const often = options.countWithinMs === undefined
    ? ""
    : `, countWithinMs ${options.countWithinMs}`;
  return {
    name,
    title:
      `1,000 instances x 1,000 circuits in use, each read and counted every ${BUSY.roundMs} ms, ` +
      `maxStalenessMs ${options.maxStalenessMs}${often}`,
    isQuick: false,
    async run(stage, isQuick) {
      const minutes = isQuick ? 1 : 10;
      const cost = await measureFleet(stage, {
        ...BUSY,
        options,
        // By the end of it every instance has begun and has counted at least once.
        warmUpMs: isQuick ? 40_000 : 90_000,
        measuredMs: minutes * MINUTE_MS,
      });
      return {
        lines: [SHARED, `measured for ${minutes} minutes`, ...linesOf(cost)],
        figures: { ...cost },
        verdicts: verdictsOf(name, cost, mostCores),
      };
    },
  };
}

function verdictsOf(name: string, cost: FleetCost, mostCores: number): Verdict[] {
  return [
    atMost(`${name}: server`, cost.serverCores, mostCores, cores),
    atMost(`${name}: WAL per second`, cost.walBytes, FLEET_BARS.walBytes, size),
    atMost(`${name}: outages`, cost.outages, FLEET_BARS.outages, String),
    atMost(
      `${name}: statements per instance and interval`,
      cost.perInterval,
      FLEET_BARS.perInterval,
      (count) => count.toFixed(2),
    ),
    atMost(
      `${name}: p99 of a refresh`,
      cost.families.tail?.p99 ?? NaN,
      FLEET_BARS.refreshP99Ms,
      (ms) => `${ms.toFixed(1)} ms`,
    ),
    atMost(`${name}: circuits table`, cost.tableBytes, FLEET_BARS.tableBytes, size),
  ];
}

/** Compares fleets that differ in one number. */
function growth(
  { name, title, what, loads, limit }: {
    name: string;
    title: string;
    what: string;
    loads: readonly [few: Partial<FleetLoad>, many: Partial<FleetLoad>];
    limit: number;
  },
): Experiment {
  return {
    name,
    title,
    isQuick: false,
    async run(stage: Stage, isQuick: boolean): Promise<Outcome> {
      const costs: FleetCost[] = [];
      for (const load of loads) {
        costs.push(
          await measureFleet(stage, {
            ...BUSY,
            ...load,
            warmUpMs: isQuick ? 30_000 : 90_000,
            measuredMs: (isQuick ? 1 : 3) * MINUTE_MS,
          }),
        );
      }
      const ratio = costs[1]!.serverCores / costs[0]!.serverCores;
      return {
        lines: [SHARED, ...costs.flatMap(linesOf)],
        figures: { costs, ratio },
        verdicts: [atMost(`${name}: ${what}`, ratio, limit, times)],
      };
    },
  };
}

/** What fleets cost their server, with the bars of {@linkcode FLEET_BARS}. */
export const FLEET_EXPERIMENTS: readonly Experiment[] = [
  fleet("fleet-1000", { maxStalenessMs: 1000 }, FLEET_BARS.serverCores),
  fleet(
    "fleet-often",
    { maxStalenessMs: 1000, countWithinMs: OFTEN_MS },
    FLEET_BARS.serverCoresOften,
  ),
  growth({
    name: "fleet-growth",
    title: "10 and 1,000 instances x 1,000 circuits in use",
    what: "server CPU from 10 to 1,000 instances",
    loads: [{ instances: 10 }, { instances: 1000 }],
    limit: FLEET_BARS.instancesGrowth,
  }),
  growth({
    name: "fleet-circuits",
    title: "100 instances x 100 and 10,000 circuits that are read and do not change",
    what: "server CPU from 100 to 10,000 circuits, nothing changing",
    loads: [
      { instances: 100, circuits: 100, records: false },
      { instances: 100, circuits: 10_000, records: false },
    ],
    limit: FLEET_BARS.circuitsGrowth,
  }),
];
