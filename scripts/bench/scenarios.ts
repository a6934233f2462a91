import type { ContenderName } from "./contenders.ts";
import type { Operation } from "./load.ts";

/** One load that several contenders are put under. */
export type Scenario = StoreScenario | ProcessesScenario | GatewayScenario | RowsScenario;

interface Named {
  /** What `--only` selects: words joined by dashes, from the general to the particular. */
  name: string;
  /** What the report calls it. */
  title: string;
  inFlight: number;
}

/** Calls to the store itself. */
export interface StoreScenario extends Named {
  kind: "store";
  contenders: readonly ContenderName[];
  operation: Operation;
  circuits: number;
}

/** Calls to the store from several processes at once. */
export interface ProcessesScenario extends Named {
  kind: "processes";
  contenders: readonly ContenderName[];
  operation: Operation;
  circuits: number;
}

/** Requests through the whole gateway. */
export interface GatewayScenario extends Named {
  kind: "gateway";
  contenders: readonly ContenderName[];
}

/** The same calls on tables with few and with many rows. */
export interface RowsScenario extends Named {
  kind: "rows";
  operation: Operation;
}

/** How many processes the loads with several have. */
export const PROCESSES = 4;

/** How many rows the tables have that are compared; as many circuits as the first has are in use. */
export const ROWS: readonly [number, number] = [1_000, 1_000_000];

const ALL = ["memory", "ours", "original", "redis", "floor", "gathered"] as const;
const SHARED = ["ours", "original", "redis", "floor"] as const;
const GATEWAYS = ["memory", "stale", "ours", "original", "redis", "gathered"] as const;

const WORDS: Record<Operation, string> = {
  read: "getState",
  record: "recordSuccess",
  both: "getState + recordSuccess",
};

function storeScenario(operation: Operation, circuits: number, inFlight: number): StoreScenario {
  return {
    kind: "store",
    name: `${operation}-${circuits}-${inFlight}`,
    title: `${WORDS[operation]}, ${circuitsOf(circuits)}, ${inFlight} in flight`,
    contenders: ALL,
    operation,
    circuits,
    inFlight,
  };
}

function circuitsOf(circuits: number): string {
  return circuits === 1 ? "1 circuit" : `${circuits.toLocaleString("en")} circuits`;
}

/** Every load, in the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  storeScenario("read", 1, 1),
  ...(["record", "both"] as const).flatMap((operation) =>
    [1, 100, 10_000].flatMap((circuits) =>
      [1, 64, 512].map((inFlight) => storeScenario(operation, circuits, inFlight))
    )
  ),
  {
    kind: "processes",
    name: "processes-64",
    title: `${WORDS.both}, 1 circuit, ${PROCESSES} processes x 64 in flight`,
    contenders: SHARED,
    operation: "both",
    circuits: 1,
    inFlight: 64,
  },
  ...[1, 64, 256].map((inFlight): GatewayScenario => ({
    kind: "gateway",
    name: `gateway-${inFlight}`,
    title: `Stoma gateway, 1 circuit, ${inFlight} in flight`,
    contenders: GATEWAYS,
    inFlight,
  })),
  ...(["read", "record"] as const).flatMap((operation) =>
    [1, 64].map((inFlight): RowsScenario => ({
      kind: "rows",
      name: `rows-${operation}-${inFlight}`,
      title: `${WORDS[operation]}, ${circuitsOf(ROWS[0])} of a table in use, ${inFlight} in flight`,
      operation,
      inFlight,
    }))
  ),
];

/** The loads that a name stands for: itself, or all whose first words it gives. */
export function select<Load extends { name: string }>(
  scenarios: readonly Load[],
  names: readonly string[],
): Load[] {
  if (names.length === 0) return [...scenarios];
  const matches = (scenario: Load, name: string) =>
    scenario.name === name || scenario.name.startsWith(`${name}-`);
  for (const name of names) {
    if (scenarios.some((scenario) => matches(scenario, name))) continue;
    const known = scenarios.map((scenario) => scenario.name).join(", ");
    throw new RangeError(
      `Cannot run the benchmark: "--only" must be one of ${known}, or the first words of some, ` +
        `received ${name}`,
    );
  }
  return scenarios.filter((scenario) => names.some((name) => matches(scenario, name)));
}
