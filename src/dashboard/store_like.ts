/** What the dashboard needs of a store. */

import type { CircuitKey } from "../key.ts";
import type { CircuitInstance, CircuitListing } from "../listing_types.ts";
import type {
  ActOptions,
  CircuitChange,
  ForceOptions,
  HistoryOptions,
  ListOptions,
  WatchOptions,
} from "../operator_types.ts";

/** What the dashboard needs of a store. Both stores of this package have it. */
export interface DashboardStore {
  /** Lists circuits in the order of their keys. */
  list(options?: ListOptions): Promise<CircuitListing[]>;
  /** Reads the changes that the log keeps, the oldest first. */
  history(options?: HistoryOptions): Promise<CircuitChange[]>;
  /** Delivers changes as they happen. */
  watch(options?: WatchOptions): AsyncIterableIterator<CircuitChange>;
  /** Opens a circuit for the whole fleet. */
  forceOpen(key: CircuitKey, options?: ForceOptions): Promise<unknown>;
  /** Closes a circuit for the whole fleet. */
  forceClosed(key: CircuitKey, options?: ForceOptions): Promise<unknown>;
  /** Ends a forced state. */
  release(key: CircuitKey, options?: ActOptions): Promise<unknown>;
  /** Forgets a circuit. */
  reset(key: CircuitKey, options?: ActOptions): Promise<unknown>;
  /** Reads the instances of the fleet. Without it, the dashboard does not show any. */
  instances?(): Promise<CircuitInstance[]>;
}

/** The methods that a store must have. */
export const STORE_METHODS: readonly string[] = [
  "list",
  "history",
  "watch",
  "forceOpen",
  "forceClosed",
  "release",
  "reset",
];
