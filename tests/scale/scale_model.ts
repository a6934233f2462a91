/**
 * What a fleet with a cache costs its database: what was measured, and the arithmetic that takes it to
 * other sizes. `docs/scale.md` explains it and shows its results.
 *
 * @module
 */

/**
 * Measured by `deno task bench` on two cores, over loopback, with PostgreSQL 18. The two fleets use 1,000
 * circuits in each instance, each of them every 5 s, with `maxStalenessMs: 1000` and the default
 * `countWithinMs`.
 */
export const MEASURED = {
  small: { instances: 100, cores: 0.063, walBytes: 361e3 },
  large: { instances: 300, cores: 0.163, walBytes: 1.0e6 },
  circuits: 1000,
  maxStalenessMs: 1000,
  countWithinMs: 60_000,
  /** Per instance and interval of `maxStalenessMs`. */
  statements: 1.19,
  /** Server CPU of a refresh with nothing new, and with 100 changes, in seconds. */
  refresh: 102e-6,
  refreshWith100: 376e-6,
  /** How long the flush of 1,000 circuits takes, in seconds. */
  flush: 6.4e-3,
  /** Bytes of a row that uses every column. */
  rowBytes: 1432,
} as const;

/** Instances count after this share of `countWithinMs`: they begin at 0.75 to 0.95 of it. */
const FLUSH_AFTER = 0.85;

/** A fleet. */
export interface Fleet {
  instances: number;
  /** Circuits that each instance uses within `countWithinMs`. */
  circuits: number;
  maxStalenessMs: number;
  countWithinMs: number;
}

/** What it costs. */
export interface Cost {
  statementsPerSecond: number;
  cores: number;
  walBytesPerSecond: number;
  /** How much of the time some flush is under way: one at a time for the table. */
  flushShare: number;
  /** CPU seconds in which all instances read a burst of 1,000 changes. */
  burstSeconds: number;
}

/** Circuits that an instance flushes in a second. */
function flushedPerSecond({ circuits, countWithinMs }: Omit<Fleet, "instances">): number {
  return circuits / (FLUSH_AFTER * countWithinMs / 1000);
}

const { small, large } = MEASURED;
const ADDED = large.instances - small.instances;
const FLUSHED = flushedPerSecond(MEASURED);

/** What one instance adds, beside what a fleet of none would cost. */
const CORES_EACH = (large.cores - small.cores) / ADDED;
const CORES_BASE = small.cores - CORES_EACH * small.instances;
const WAL_EACH = (large.walBytes - small.walBytes) / ADDED;
const WAL_BASE = small.walBytes - WAL_EACH * small.instances;

/** All that is no refresh is put down to the circuits that are flushed. */
const CORES_PER_FLUSHED = (CORES_EACH - MEASURED.refresh) / FLUSHED;
const WAL_PER_FLUSHED = WAL_EACH / FLUSHED;
const REFRESH_PER_CHANGE = (MEASURED.refreshWith100 - MEASURED.refresh) / 100;

/** Takes what was measured to another fleet. All of it is linear. */
export function costOf(fleet: Fleet): Cost {
  const { instances } = fleet;
  const refreshes = instances / (fleet.maxStalenessMs / 1000);
  const flushed = instances * flushedPerSecond(fleet);
  return {
    statementsPerSecond: refreshes * MEASURED.statements,
    cores: CORES_BASE + refreshes * MEASURED.refresh + flushed * CORES_PER_FLUSHED,
    walBytesPerSecond: WAL_BASE + flushed * WAL_PER_FLUSHED,
    flushShare: flushed * MEASURED.flush / MEASURED.circuits,
    burstSeconds: instances * (MEASURED.refresh + 1000 * REFRESH_PER_CHANGE),
  };
}

/** The fleets of the page's table. */
export const FLEETS: readonly Fleet[] = [
  [100, 1000, 1, 60],
  [300, 1000, 1, 60],
  [1000, 1000, 1, 60],
  [1000, 1000, 5, 300],
  [10_000, 100, 1, 60],
  [10_000, 1000, 1, 60],
  [10_000, 1000, 2, 300],
  [10_000, 1000, 5, 300],
  [10_000, 1000, 10, 600],
].map(([instances, circuits, staleness, count]) => ({
  instances: instances!,
  circuits: circuits!,
  maxStalenessMs: staleness! * 1000,
  countWithinMs: count! * 1000,
}));

/** The cells of a row of the table. */
export function rowOf(fleet: Fleet): string[] {
  const cost = costOf(fleet);
  return [
    ...[fleet.instances, fleet.circuits, fleet.maxStalenessMs, fleet.countWithinMs].map(whole),
    whole(round(cost.statementsPerSecond, 3)),
    cost.cores.toFixed(cost.cores < 1 ? 2 : 1),
    `${round(cost.walBytesPerSecond / 1e6, 2)} MB`,
    `${Math.round(cost.flushShare * 100)} %`,
    `${round(cost.burstSeconds, 2)} s`,
  ];
}

function whole(value: number): string {
  return value.toLocaleString("en");
}

/** To a number of significant digits. */
function round(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}
