/** What the floors pass to each other: circuits by the clock that decides, under their stored keys. */

import type { Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitState } from "../types.ts";

/** What the rules of half-open need to know of a circuit. */
export interface Probed {
  state: CircuitState;
  lastStateChange: number;
  /** Probes admitted in the round. */
  probeCount: number;
  /** When the lease of the round ends. */
  probeExpiresAt: number;
}

/** The state that an operator forced on a circuit. */
export interface ForcedState {
  state: "open" | "closed";
  /** When it was forced. */
  at: number;
  /** When it ends by itself, `undefined` for never. */
  until: number | undefined;
  reason: string | undefined;
}

/** A circuit as it is kept. Times are epoch milliseconds of the clock that decides. */
export interface Circuit extends Probed {
  key: string;
  failureCount: number;
  successCount: number;
  lastFailureTime: number;
  /** Grows by one with each real change of state and each round of probes: the fencing token. */
  version: number;
  /** What an operator forced, whether or not it is still in force. */
  forced: ForcedState | undefined;
  /** When it was like this. */
  readAt: number;
}

/** What a circuit is that is not kept: closed, with zeros. */
export const ABSENT_CIRCUIT: Readonly<Omit<Circuit, "key">> = {
  state: "closed",
  failureCount: 0,
  successCount: 0,
  lastFailureTime: 0,
  lastStateChange: 0,
  version: 0,
  probeCount: 0,
  probeExpiresAt: 0,
  forced: undefined,
  readAt: 0,
};

/** The circuit with other counts, and at another time where one is given. */
export function counted(
  circuit: Circuit,
  failureCount: number,
  successCount: number,
  readAt: number = circuit.readAt,
): Circuit {
  // A copy by hand: this runs for every call, and a spread of so many fields is slow.
  return {
    key: circuit.key,
    state: circuit.state,
    failureCount,
    successCount,
    lastFailureTime: circuit.lastFailureTime,
    lastStateChange: circuit.lastStateChange,
    version: circuit.version,
    probeCount: circuit.probeCount,
    probeExpiresAt: circuit.probeExpiresAt,
    forced: circuit.forced,
    readAt,
  };
}

/** The round of probes that a claim belongs to: what fences its result. */
export interface Round {
  version: number;
  lastStateChange: number;
}

/** Successes of a closed circuit that were acknowledged before they are counted. */
export interface Deferred {
  key: string;
  successes: number;
  /** The version of the circuit that they are successes of. */
  version: number;
}

/** A circuit after a refresh. */
export interface Refreshed extends Circuit {
  /** Whether successes were deferred for it, which have arrived now. */
  isCounted: boolean;
}

/** Whoever is told of changes that were made to circuits, by anybody. */
export interface ChangeListener {
  /** A circuit has come to a version; 0 is one that is gone. */
  onChange(digest: string, version: number): void;
  /** Changes may have been missed, and from now on they are told. */
  onGap(): void;
}

/** How many changes a circuit's row remembers. */
export const REMEMBERED_CHANGES = 16;

/** What a circuit that has moved remembers. */
export interface History {
  key: string;
  version: number;
  /** As the fleet sees it, whatever an operator forced. */
  state: CircuitState;
  /** Since when, where that is not the last change: a forced state can end by itself. */
  since: number;
  /** The last changes, the oldest first. */
  changes: Change[];
}

/** One step of a circuit's version. */
export interface Change {
  version: number;
  at: number;
  /** What the fleet saw after it, which may be what it saw before. */
  state: CircuitState;
}

/** What all circuits remember that have moved, or are not closed. */
export interface Histories {
  circuits: History[];
  /** When it was like this. */
  readAt: number;
}

/** A circuit after a claim, and whether the caller was admitted as a probe. */
export interface ClaimResult {
  circuit: Circuit;
  isAdmitted: boolean;
}

/**
 * Where circuits are kept. Keys are in their stored form; `undefined` stands for a circuit that is
 * not kept, which is closed with zeros. What is returned may be shared: not to be changed.
 */
export interface Circuits {
  /** Reads for a call that began at a moment of `performance.now()`, which is now by default. */
  read(key: string, begunAt?: number): Promise<Circuit | undefined>;
  /** The circuits that exist among the keys, in no order. */
  readMany(keys: readonly string[]): Promise<Circuit[]>;
  recordSuccess(key: string): Promise<Circuit>;
  recordFailure(key: string): Promise<Circuit>;
  transition(key: string, to: CircuitState): Promise<Circuit | undefined>;
  /** Asks for a probe, for a call that began at a moment of `performance.now()`. */
  claim(key: string, begunAt: number): Promise<ClaimResult | undefined>;
  /** Moves a circuit by the result of a probe, unless its round is over. */
  settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined>;
  /** Forces a state, or releases it. */
  force(key: string, force: Force | undefined): Promise<Circuit | undefined>;
  reset(key: string): Promise<void>;
  list(options: ResolvedListOptions): Promise<Circuit[]>;
  /** Removes closed circuits idle for so long; returns how many. */
  prune(idleMs: number, limit: number, isElected: boolean): Promise<number>;
  /**
   * Reads circuits and counts successes of others, in one step: those that exist, in no order. What
   * was zeroed since the version that a success belongs to does not count it any more. A circuit
   * that somebody else is changing may be left out, and counts nothing then.
   */
  refresh(keys: readonly string[], deferred: readonly Deferred[]): Promise<Refreshed[]>;
  /** Fails unless circuits can be read and written. */
  check(): Promise<void>;
}

/** Circuits that answer by themselves where those behind them cannot be asked. */
export interface Origin extends Circuits {
  /** Whether its answers are its own at the moment. */
  readonly isOut: boolean;
  /** How many answers of its own it has given. */
  readonly ownAnswers: number;
}

/** Circuits that remember how they came to be as they are. */
export interface RememberingCircuits extends Circuits {
  history(): Promise<Histories>;
}
