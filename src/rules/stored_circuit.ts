import type { Circuit } from "../circuit.ts";
import { compareKeys } from "../key.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { OwnChange } from "../ports.ts";
import type { CircuitState } from "../types.ts";
import { type Counted, zeroFailures } from "./counting.ts";
import { effectiveState, forcedAt } from "./forcing.ts";
import type { MemoryLog } from "./memory_log.ts";
import { isZeroed } from "./moving.ts";
import type { Refusing } from "./refusing.ts";

/** A circuit with a version stays for this long after its last change, as in the table. */
const VERSION_KEPT_MS = 3_600_000;

/** A circuit in memory. */
export interface StoredCircuit extends Omit<Circuit, "readAt">, Counted, Refusing {
  /** When anything was last recorded, moved or forced. */
  updatedAt: number;
  /** How many probes have succeeded since the circuit became half-open. */
  probeSuccesses: number;
  /** How many rounds of probes have failed since the circuit was last closed for long. */
  failedRounds: number;
  refusedCount: number;
  /** The state that the fleet saw, as the log last said. */
  loggedState: CircuitState;
}

/** What a map of circuits begins with, and how many it holds. */
export interface MemoryBounds {
  /** Circuits that another store knows. A circuit is taken over when it is first used. */
  known: ReadonlyMap<string, Circuit>;
  /** How many circuits are kept; the one whose first use is longest ago goes first. */
  capacity: number;
}

/** Where changes are logged. */
export interface LogOfCircuits {
  log: MemoryLog;
  /** Who changes circuits where an operator gives no name. */
  actor: string;
  /** Called with each change. */
  onLogged: (change: OwnChange) => void;
}

/** Zeroes the counters that a move to a state zeroes. */
export function zeroCounters(stored: StoredCircuit, to: CircuitState, version: number): void {
  if (isZeroed("successes", to)) {
    stored.successCount = 0;
    stored.zeroedVersion = version;
  }
  if (!isZeroed("failures", to)) return;
  Object.assign(stored, zeroFailures(stored));
}

/** Whether a circuit has nothing but its version, and so reads like an absent one. */
export function isBlank(stored: StoredCircuit): boolean {
  return stored.state === "closed" && stored.failureCount === 0 && stored.successCount === 0 &&
    stored.lastFailureTime === 0 && stored.lastStateChange === 0 && stored.forced === undefined;
}

/** Whether a circuit that is idle may be removed: it is closed, and nothing refers to its version. */
export function isRemovable(stored: StoredCircuit, now: number, idleMs: number): boolean {
  // The clock may have been set back since.
  const usedAt = Math.max(stored.updatedAt, stored.lastFailureTime, stored.lastStateChange);
  return stored.state === "closed" && forcedAt(stored.forced, now) === undefined &&
    usedAt < now - idleMs && (stored.version === 0 || usedAt < now - VERSION_KEPT_MS);
}

/** A page of circuits in the order of their keys. */
export function pageOf(
  circuits: Iterable<StoredCircuit>,
  { state, after, limit }: ResolvedListOptions,
  now: number,
): StoredCircuit[] {
  return Array.from(circuits)
    .filter((stored) => !isBlank(stored))
    .filter((stored) => state === undefined || effectiveState(stored, now) === state)
    .filter(({ key }) => after === undefined || compareKeys(key, after) > 0)
    .sort((a, b) => compareKeys(a.key, b.key))
    .slice(0, limit);
}

/** A forced state that has ended by its time goes away with the next change: the clock can be set back. */
export function dropEnded(stored: StoredCircuit, now: number): void {
  if (forcedAt(stored.forced, now) === undefined) stored.forced = undefined;
}
