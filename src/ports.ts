/**
 * What the floors offer each other. A call goes from the store through admission, cache and outage
 * guard to the table. Each of these floors implements the same narrow ports.
 *
 * Keys are in their stored form. `undefined` stands for a circuit without a row, which is closed with
 * zeros. Answers may be shared between callers and are not to be changed.
 */

import type { Circuit, Round } from "./circuit.ts";
import type { Act, Force } from "./options/force.ts";
import type { ResolvedListOptions } from "./options/list.ts";
import type { Call } from "./time/call.ts";
import type { CircuitChangeCause } from "./operator_types.ts";
import type { PermitOutcome } from "./permit.ts";
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
  recordSuccess(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>>;
  recordFailure(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>>;
  transition(call: Call, key: string, to: CircuitState): Promise<Answer>;
  /**
   * Asks for a probe. Above 0, `patienceMs` is how long a round must have stood due, and it grants
   * nothing in a round that is running.
   */
  claim(call: Call, key: string, patienceMs: number): Promise<ClaimAnswer>;
  /** Applies the result of a probe, which was recorded before, to its round, unless that is over. */
  settle(call: Call, key: string, outcome: PermitOutcome, round: Round): Promise<Answer>;
}

/**
 * What memory answers without waiting, and without copies. The methods of `Calls` find the same, by the
 * same code. Each of these says when it takes a statement, and the method of `Calls` is called instead.
 */
export interface KnownCalls {
  /** The circuit that `read` would find, but for its counts; `undefined` for one without a row. */
  known(key: string): KnownCircuit | undefined | "unknown";
  /** Does what `recordSuccess` does. Returns `false`, having done nothing, where that takes a statement. */
  countSuccess(key: string, isSlow: boolean): boolean;
}

/** The part of a circuit that decides whether calls pass. */
export interface KnownCircuit
  extends Pick<Circuit, "state" | "forced" | "lastStateChange">, Partial<Pick<Circuit, "readAt">> {}

/** Successes of one circuit that wait to be counted. */
export interface Waiting {
  readonly successes: number;
  /** How many of them were slow; absent for none. */
  readonly slow?: number;
  /** The version of the circuit that they are successes of. They count unless it was zeroed since. */
  readonly version: number;
}

/** The calls of operators and dashboards. During an outage only reads are answered locally. */
export interface Admin {
  /** The circuits that exist among the keys, in no order. */
  readMany(call: Call, keys: readonly string[]): Promise<Circuit[]>;
  /** A page of circuits in the order of their keys. */
  list(call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]>;
  /** Forces a state, or releases it where `force` has none. */
  force(call: Call, key: string, force: Force): Promise<Answer>;
  /** Forgets a circuit. Returns its blank row, `undefined` where it has none. */
  reset(call: Call, key: string, act: Act): Promise<Answer>;
  /** Removes closed circuits that were idle for `idleMs`; returns how many. */
  prune(call: Call, options: PruneRequest): Promise<number>;
}

/** A circuit of a page, with its last change that is shown; without one where there is none. */
export interface ListedCircuit extends Circuit {
  readonly lastCause?: LogCause;
  readonly lastActor?: string;
  readonly lastReason?: string;
  /** How many requests were refused since it was last closed. */
  readonly refusedCount: number;
}

/** Which circuits to remove. */
export interface PruneRequest {
  idleMs: number;
  limit: number;
  /** Whether only one instance at a time does it, the others removing nothing meanwhile. */
  isElected: boolean;
}

/** The votes of an instance, where a quorum opens circuits. */
export interface Votes {
  /** Votes for opening a circuit, or shows that the vote still stands. Returns the circuit after it. */
  vote(call: Call, key: string): Promise<Answer<Circuit>>;
  /** Takes votes back. */
  withdraw(call: Call, keys: readonly string[]): Promise<void>;
}

/** The calls of the parts that work in the background. */
export interface Tail extends Votes {
  /**
   * Returns what changed since a cursor, at most `limit` circuits. Without a cursor it returns the
   * cursor from which to go on.
   */
  tail(call: Call, after: LogCursor | undefined, limit: number): Promise<TailPage>;
  /** Returns a page of the log. */
  log(call: Call, request: LogRequest): Promise<LogPage>;
  /** Reads circuits that an instance knows, whole: those that exist, in no order. */
  readKnown(call: Call, keys: readonly string[]): Promise<Circuit[]>;
  /** The instances that were seen lately. */
  instances(call: Call): Promise<SeenInstance[]>;
  /** Writes an instance's row, or renews it. */
  register(call: Call, instance: Instance): Promise<void>;
  /** Counts deferred successes, in a statement that waits for no lock. It inserts no circuit. */
  flush(call: Call, instance: Instance, flush: Flush): Promise<FlushResult>;
  /** Finds out what became of a flush without an answer. */
  findFlush(call: Call, instance: Instance, flush: Flush): Promise<FlushResult>;
  /** Makes rows for circuits without one. */
  addCircuits(call: Call, keys: readonly string[]): Promise<void>;
  /** Counts deferred successes in a statement that waits for its rows and inserts missing ones. */
  countDeferred(call: Call, deferred: readonly Deferred[]): Promise<void>;
}

/**
 * A moment of the log: the snapshot of a statement. What is new is exactly what was not visible then.
 */
export interface LogCursor {
  /** The snapshot, as the server writes it: `xmin:xmax:xip,...`. */
  readonly snapshot: string;
  /** The highest version that was visible. */
  readonly version: number;
  /** Which run of which server, and which log: another one is a break. */
  readonly run: string;
}

/** What changed since a cursor. */
export interface TailPage {
  /** From where to go on. */
  readonly cursor: LogCursor;
  /** Whether changes since the given cursor can be missing: everything known must be read anew. */
  readonly isBreak: boolean;
  /** Whether more circuits changed than the page holds: likewise. */
  readonly isTooLong: boolean;
  /** The circuits that changed and have a row, whole, as of the cursor or later. In no order. */
  readonly circuits: readonly Circuit[];
  /** The keys that changed and have no row any more. */
  readonly absent: readonly string[];
}

/** Why a circuit changed. Beside what is shown there are causes that are no changes of a state. */
export type LogCause = CircuitChangeCause | "suspect" | "zeroed";

/** A row of the log that this instance wrote. */
export interface OwnChange {
  readonly key: string;
  readonly from: CircuitState;
  readonly to: CircuitState;
  readonly cause: LogCause;
}

/** One row of the log. Times are of the clock that decides. */
export interface LoggedChange {
  readonly key: string;
  readonly version: number;
  readonly at: number;
  readonly from: CircuitState;
  readonly to: CircuitState;
  readonly cause: LogCause;
  readonly actor: string;
  readonly role: string;
  readonly reason: string | undefined;
  readonly failureCount: number;
  readonly successCount: number;
}

/** Which rows of the log are asked for, in the order of their versions. */
export interface LogRequest {
  /** Only what was not visible at this moment; `undefined` for all. */
  readonly after: LogCursor | undefined;
  /** Only what was visible at this moment; `undefined` for all. */
  readonly until: LogCursor | undefined;
  /** Only higher versions. */
  readonly afterVersion: number | undefined;
  /** Only of one circuit. */
  readonly key: string | undefined;
  /** Only what happened at this time or later, by the clock that decides. */
  readonly since: number | undefined;
  /** Whether hidden changes are asked for as well: rounds of probes. */
  readonly hasRounds: boolean;
  /** How many. 0 for the cursor alone. */
  readonly limit: number;
}

/** A page of the log. */
export interface LogPage {
  readonly changes: readonly LoggedChange[];
  /** The moment of this page. */
  readonly cursor: LogCursor;
  /** Whether changes since `after` can be missing, or are not visible in `until` any more. */
  readonly isBreak: boolean;
  /** The time of the clock that decides. */
  readonly readAt: number;
}

/** An instance as its row describes it. */
export interface Instance {
  /** Random, one per store object. */
  readonly id: string;
  /** The label that an operator knows. */
  readonly label: string;
  /** The bound of its cache, in milliseconds; 0 without a cache. */
  readonly boundMs: number;
}

/** An instance as another one sees it. */
export interface SeenInstance extends Instance {
  /** The version of its library. */
  readonly library: string;
  /** When it last wrote its row, by the clock that decides. */
  readonly seenAt: number;
}

/** Requests for one circuit that an instance has refused, and that the row does not count yet. */
export interface RefusedCalls {
  readonly key: string;
  readonly refused: number;
  /** When the outage had begun for which it refused them; 0 without one. */
  readonly openedAt: number;
}

/** Successes of a closed circuit that were acknowledged before they are counted. */
export interface Deferred extends Waiting {
  readonly key: string;
}

/** Deferred successes that are counted exactly once, also where a statement is sent again. */
export interface Flush {
  /** Grows by one with each flush of an instance. It stays where a flush is sent again. */
  readonly number: number;
  readonly deferred: readonly Deferred[];
}

/**
 * What became of a flush.
 * - `done`: it was counted but for the circuits of `leftOver`, whose rows were locked or missing.
 * - `busy`: nothing was counted, because another flush was running. Send it again.
 * - `unknown instance`: the row of the instance is gone. It may have been counted.
 */
export type FlushResult =
  | { readonly outcome: "done"; readonly leftOver: readonly string[] }
  | { readonly outcome: "busy" | "unknown instance" };

/** Announces that circuits have changed. */
export interface Feed {
  /** Whether anything is announced at all. */
  readonly canListen: boolean;
  /**
   * Calls a listener when a circuit has changed, and when announcements may have been lost, until the
   * function that it returns is called. Nothing may depend on it: an announcement can be missing.
   */
  subscribe(listener: () => void): () => void;
}

/** The families of statements. */
export type StatementKind =
  | "read"
  | "record"
  | "transition"
  | "claim"
  | "settle"
  | "vote"
  | "force"
  | "reset"
  | "list"
  | "prune"
  | "history"
  | "refresh"
  | "flush"
  | "announce"
  | "check";

/** One statement that has ended, or that was given up at its deadline. */
export interface StatementEvent {
  readonly kind: StatementKind;
  /** How many circuits it was for. 0 where it is not for certain ones. */
  readonly keys: number;
  /** How many calls it answered. 0 where no call waited for it. */
  readonly calls: number;
  /** How many circuits it returned or removed. */
  readonly rows: number;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** The error, if it failed. */
  readonly error: unknown;
}

/** Is called after every statement: outage detection, error reports and metrics need it. */
export type OnStatement = (event: StatementEvent) => void;

/**
 * What sees how a store is used: metrics. Each method is called after the fact, for every call of a
 * request, so it must be fast. It must not throw. Keys are in their stored form.
 */
export interface StoreObserver {
  /** A request was admitted. A probe finds its circuit `half-open`, and another request `closed`. */
  onAdmitted?(key: string, isProbe: boolean): void;
  /** A request was refused, by a circuit in this state. A closed one refuses while it ramps up. */
  onRefused?(key: string, state: CircuitState): void;
  /** A result was stored, or a probe was ended without one. */
  onResult?(key: string, outcome: PermitOutcome): void;
  /** This instance wrote a row of the log. */
  onChange?(change: OwnChange): void;
  /** A statement has ended, or was given up. */
  onStatement?(event: StatementEvent): void;
}

/** Where the observer of a store stands; `undefined` while nothing observes it. */
export interface Observed {
  readonly observer: StoreObserver | undefined;
}
