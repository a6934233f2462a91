/**
 * The types of what is listed for operators and dashboards: circuits and instances.
 *
 * @module
 */

import type { CircuitChangeCause } from "./operator_types.ts";
import type { CircuitBreakerSnapshot } from "./types.ts";

/** A circuit as `list` returns it: its key, its snapshot, and what operators ask for. */
export interface CircuitListing extends CircuitBreakerSnapshot {
  /**
   * The circuit's key as the table holds it: the key itself, or, for a key that PostgreSQL cannot
   * hold or index, a readable prefix and a SHA-256 digest.
   */
  key: string;
  /** The same. With it, every method that takes a key takes the listing, and means this circuit. */
  storedKey: string;
  /**
   * The version of its last change. It only grows, also when the circuit is reset. 0 for a circuit
   * that never changed.
   */
  version: number;
  /**
   * When the present outage of the upstream began, in epoch milliseconds of the caller's clock. Failed
   * probes do not move it. 0 while the circuit is closed, and where only an operator opened it by
   * force.
   */
  openedAt: number;
  /**
   * From when on a request may be admitted, in epoch milliseconds of the caller's clock: as a probe,
   * or because a forced state ends. Absent for a closed circuit, for a forced state without an end,
   * and where the store has no `resetTimeoutMs`.
   */
  retryAt?: number;
  /** The state that an operator forced on the circuit, while it is in force. */
  forced?: CircuitForce;
  /**
   * The instances whose votes for opening it stand, by their `instanceId`, sorted: each has the circuit open
   * for itself. Empty while the circuit is not closed, and where the stores have no `quorum`.
   */
  votes: string[];
  /**
   * How many requests the stores of the fleet refused since the circuit was last closed: answers `open`
   * of `getState`, and permits that are not allowed, also while it is forced open or ramps up. The count
   * stays when the circuit closes, until it opens again. Each instance adds its refusals about every five
   * seconds while it is in use, and at `close`; a process that is killed loses what it has not added.
   */
  refusedCount: number;
  /** Why it last changed, as `history` shows it; `""` where no change is kept. */
  cause: CircuitChangeCause | "";
  /** Who changed it last, as `CircuitChange.actor`; `""` where no change is kept. */
  actor: string;
  /** The operator's reason for that change; absent where none was given. */
  reason?: string;
}

/** An instance of the fleet, as `instances` returns it. */
export interface CircuitInstance {
  /** Random, one for each store object. */
  id: string;
  /** Its option `instanceId`. */
  label: string;
  /** The version of this library that it uses. */
  libraryVersion: string;
  /** How stale its answers may be, in milliseconds; 0 for an instance without a cache. */
  maxStalenessMs: number;
  /** When it last showed that it lives, in epoch milliseconds of the caller's clock. */
  lastSeenAt: number;
}

/** A state that an operator forced on a circuit with `forceOpen` or `forceClosed`. */
export interface CircuitForce {
  /** The state that the whole fleet sees. */
  state: "open" | "closed";
  /** Since when, in epoch milliseconds of the caller's clock. */
  since: number;
  /** When it ends by itself, in epoch milliseconds of the caller's clock; absent for never. */
  until?: number;
  /** Why, in the operator's words. */
  reason?: string;
  /** Who forced it: the option `actor`, otherwise the `instanceId` of the store that did it. */
  by?: string;
}
