/**
 * What the floors offer each other. A call goes from the store through admission, cache and outage
 * guard to the table. Each of these floors implements the same narrow ports.
 *
 * Keys are in their stored form. `undefined` stands for a circuit without a row, which is closed with
 * zeros. Answers may be shared between callers and are not to be changed.
 */

import type { Circuit, Round } from "./circuit.ts";
import type { Force } from "./options/force.ts";
import type { ResolvedListOptions } from "./options/list.ts";
import type { Call } from "./time/call.ts";
import type { CircuitState } from "./types.ts";

/** Where an answer comes from: the database, this instance's cache, or its local circuits. */
export type Source = "database" | "cache" | "local";

/** A circuit, and where the answer comes from. */
export interface Answer<Found extends Circuit | undefined = Circuit | undefined> {
  readonly circuit: Found;
  readonly source: Source;
}

/** The answer to a claim: whether the caller was admitted as a probe. */
export interface ClaimAnswer extends Answer {
  readonly isAdmitted: boolean;
}

/** The calls of a gateway for its requests. */
export interface Calls {
  read(call: Call, key: string): Promise<Answer>;
  recordSuccess(call: Call, key: string): Promise<Answer<Circuit>>;
  recordFailure(call: Call, key: string): Promise<Answer<Circuit>>;
  transition(call: Call, key: string, to: CircuitState): Promise<Answer>;
  /** Asks for a probe. */
  claim(call: Call, key: string): Promise<ClaimAnswer>;
  /** Moves a circuit by the result of a probe, unless its round is over. */
  settle(call: Call, key: string, to: CircuitState, round: Round): Promise<Answer>;
}

/** The calls of operators and dashboards. During an outage only reads are answered locally. */
export interface Admin {
  /** The circuits that exist among the keys, in no order. */
  readMany(call: Call, keys: readonly string[]): Promise<Circuit[]>;
  /** A page of circuits in the order of their keys. */
  list(call: Call, options: ResolvedListOptions): Promise<Circuit[]>;
  /** Forces a state, or releases it. */
  force(call: Call, key: string, force: Force | undefined): Promise<Answer>;
  reset(call: Call, key: string): Promise<void>;
  /** Removes closed circuits that were idle for `idleMs`; returns how many. */
  prune(call: Call, options: PruneRequest): Promise<number>;
}

/** Which circuits to remove. */
export interface PruneRequest {
  idleMs: number;
  limit: number;
  /** Whether only one instance at a time does it, the others removing nothing meanwhile. */
  isElected: boolean;
}

/** The calls of the parts that work in the background. */
export interface Tail {
  /** Returns what all circuits remember of their changes. */
  history(call: Call): Promise<Histories>;
  /**
   * Reads circuits and counts successes of others in one step. Returns those that exist, in no
   * order. A success does not count where its circuit was zeroed since. A circuit that another
   * instance is changing may be left out, and counts nothing then.
   */
  refresh(
    call: Call,
    keys: readonly string[],
    deferred: readonly Deferred[],
  ): Promise<Refreshed[]>;
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
  /** Whether successes were deferred for it. They are counted now. */
  isCounted: boolean;
}

/** How many changes a circuit's row remembers. */
export const REMEMBERED_CHANGES = 16;

/** What a circuit that has moved remembers. */
export interface History {
  key: string;
  version: number;
  /** As the fleet sees it, with what an operator forced. */
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

/** Announces changes. */
export interface Feed {
  /** Whether anything is announced at all. */
  readonly canListen: boolean;
  /** Announces changes to a listener until the function that it returns is called. */
  subscribe(listener: ChangeListener): () => void;
}

/** Is called for changes of circuits, whether an instance or a person made them. */
export interface ChangeListener {
  /** A circuit has reached a version, or was removed: version 0. */
  onChange(digest: string, version: number): void;
  /** The feed may have missed changes. From now on it announces them. */
  onGap(): void;
}

/** The families of statements. */
export type StatementKind =
  | "read"
  | "record"
  | "transition"
  | "claim"
  | "settle"
  | "force"
  | "reset"
  | "list"
  | "prune"
  | "history"
  | "refresh"
  | "check";

/** One statement that has ended, or that was given up at its deadline. */
export interface StatementEvent {
  readonly kind: StatementKind;
  /** How many circuits it was for. 0 where it is not for certain ones. */
  readonly keys: number;
  /** How many circuits it returned or removed. */
  readonly rows: number;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** The error, if it failed. */
  readonly error: unknown;
}

/** Is called after every statement: outage detection, error reports and metrics need it. */
export type OnStatement = (event: StatementEvent) => void;
