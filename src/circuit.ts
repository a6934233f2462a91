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

/** What most circuits do not have at most times. */
export interface CircuitDetails {
  /** How many probes of the present round succeeded. */
  readonly probeSettled: number;
  /** How long it stays open before it admits probes, in milliseconds; 0 for as long as the options say. */
  readonly resetMs: number;
  /** When a rate seemed to make it due to open, which a later record decides; 0 for never. */
  readonly suspectAt: number;
  /** The labels of instances that vote for opening it, and when each was last seen. */
  readonly votes: readonly Vote[];
}

/** The vote of an instance that finds that a circuit has to open. */
export interface Vote {
  readonly label: string;
  readonly seenAt: number;
}

/** The details of a circuit that has none. */
export const NO_DETAILS: CircuitDetails = {
  probeSettled: 0,
  resetMs: 0,
  suspectAt: 0,
  votes: [],
};

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
  /** One object for all circuits that have none: {@linkcode NO_DETAILS}. */
  details: CircuitDetails;
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
  details: NO_DETAILS,
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
    details: circuit.details,
    readAt,
  };
}

/** The circuit's details with some that differ: {@linkcode NO_DETAILS} where it then has none. */
export function withDetails(
  { details }: Pick<Circuit, "details">,
  changes: Partial<CircuitDetails>,
): CircuitDetails {
  const changed = { ...details, ...changes };
  const { probeSettled, resetMs, suspectAt, votes } = changed;
  return probeSettled === 0 && resetMs === 0 && suspectAt === 0 && votes.length === 0
    ? NO_DETAILS
    : changed;
}

/** The round of probes that a claim belongs to: what fences the result of its probe. */
export interface Round {
  version: number;
  lastStateChange: number;
}
