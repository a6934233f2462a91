/** A circuit as the floors pass it to each other: in the time of the clock that decides. */

import type { CircuitState } from "./types.ts";

/** The state that an operator forced on a circuit. */
export interface ForcedState {
  state: "open" | "closed";
  /** When it was forced. */
  at: number;
  /** When it ends by itself, `undefined` for never. */
  until: number | undefined;
  reason: string | undefined;
  /** Who forced it: an operator, or the label of an instance. */
  by: string | undefined;
}

/** A circuit at one moment. Times are epoch milliseconds of the clock that decides. */
export interface Circuit {
  key: string;
  state: CircuitState;
  failureCount: number;
  successCount: number;
  lastFailureTime: number;
  lastStateChange: number;
  /**
   * The version of its last change of state, round of probes, or zeroing of counters: the fencing
   * token. It only grows. 0 for a circuit that never changed.
   */
  version: number;
  /** The version of the last zeroing of its successes: those that are older do not count. */
  zeroedVersion: number;
  /** When the present outage of the upstream began; 0 while it is closed. */
  openedAt: number;
  /** Probes admitted in the round. */
  probeCount: number;
  /** When the lease of the round ends. */
  probeExpiresAt: number;
  /** What an operator forced, whether or not it is still in force. */
  forced: ForcedState | undefined;
  /** When the circuit was like this. */
  readAt: number;
  /** Whether the fleet sees another state than the log said last. Absent where it does not. */
  isUnlogged?: true;
}

/** The circuit of a key without a row: closed, with zeros. */
export const ABSENT_CIRCUIT: Readonly<Omit<Circuit, "key">> = {
  state: "closed",
  failureCount: 0,
  successCount: 0,
  lastFailureTime: 0,
  lastStateChange: 0,
  version: 0,
  zeroedVersion: 0,
  openedAt: 0,
  probeCount: 0,
  probeExpiresAt: 0,
  forced: undefined,
  readAt: 0,
};

/** The circuit with other counts, and at another time where one is given. */
export function withCounts(
  circuit: Circuit,
  failureCount: number,
  successCount: number,
  readAt: number = circuit.readAt,
): Circuit {
  // A copy by hand: this runs for every call, and a spread of this many fields is slower.
  return {
    key: circuit.key,
    state: circuit.state,
    failureCount,
    successCount,
    lastFailureTime: circuit.lastFailureTime,
    lastStateChange: circuit.lastStateChange,
    version: circuit.version,
    zeroedVersion: circuit.zeroedVersion,
    openedAt: circuit.openedAt,
    probeCount: circuit.probeCount,
    probeExpiresAt: circuit.probeExpiresAt,
    forced: circuit.forced,
    readAt,
  };
}

/** The round of probes that a claim belongs to: what fences the result of its probe. */
export interface Round {
  version: number;
  lastStateChange: number;
}
