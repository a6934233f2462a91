/**
 * The types of what operators and dashboards see and ask for: changes, and the options of the methods
 * beside Stoma's.
 *
 * @module
 */

import type { CircuitKey } from "./key.ts";
import type { CircuitState } from "./types.ts";

/**
 * Why a circuit changed.
 *
 * - `trip`: an instance opened the closed circuit.
 * - `vote`: an instance voted for opening the circuit, where a `quorum` decides. The vote that completes the
 *   quorum opens it. Every other vote leaves it closed, and so does taking one back, which has the reason
 *   `withdrawn`.
 * - `probe`: the reset timeout was over, or a probe succeeded or failed.
 * - `manual`: another move by `transition`, such as a closing without a probe.
 * - `force`, `release`, `reset`: an operator did it.
 * - `expiry`: a forced state ended by its time.
 * - `external`: another program changed the row. An instance noticed it.
 * - `round`: another round of probes began, because the lease of the last one had ended. Shown only
 *   with the option `rounds`.
 */
export type CircuitChangeCause =
  | "trip"
  | "vote"
  | "probe"
  | "manual"
  | "force"
  | "release"
  | "expiry"
  | "reset"
  | "external"
  | "round";

/**
 * A change of a circuit's state, as the whole fleet sees it. `watch` delivers changes as they happen,
 * and `history` reads those that are kept.
 *
 * @example Watching every change in the fleet
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { type CircuitChange, migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { PGlite } from "@electric-sql/pglite";
 *
 * const db = new PGlite();
 * await migrate(db);
 * await using store = new PostgresCircuitBreakerStore(db);
 *
 * const changes = store.watch();
 * await store.transition("payments", "open");
 * await store.transition("payments", "half-open");
 * await store.transition("payments", "closed");
 * const seen: CircuitChange[] = [];
 * for await (const change of changes) {
 *   seen.push(change);
 *   if (change.to === "closed") break;
 * }
 * assertEquals(seen.map(({ key, from, to, cause }) => `${key}: ${from} -> ${to}, ${cause}`), [
 *   "payments: closed -> open, trip",
 *   "payments: open -> half-open, probe",
 *   "payments: half-open -> closed, probe",
 * ]);
 * await db.close();
 * ```
 */
export interface CircuitChange {
  /** The circuit's key in the form of `CircuitListing.storedKey`. */
  key: string;
  /** The same. With it, every method that takes a key takes the change, and means its circuit. */
  storedKey: string;
  /** The state before. */
  from: CircuitState;
  /**
   * The state after. It is the same only for a round of probes, for a vote that does not complete the
   * quorum, and, in `history`, where an operator forced or released a state that the circuit had anyway.
   */
  to: CircuitState;
  /** The version that the circuit reached. It only grows, also when the circuit is reset. */
  version: number;
  /**
   * When, in epoch milliseconds of the caller's clock. For `expiry` and `external`: when an instance
   * noticed it.
   */
  at: number;
  /** Why. */
  cause: CircuitChangeCause;
  /**
   * Who: the option `actor` of an operator's call, otherwise the `instanceId` of the store. It is only
   * what the writer says. `""` for `expiry` and `external`.
   */
  actor: string;
  /** The database role of the writer's session: `""` where there is none. */
  role: string;
  /** The operator's reason; `undefined` where none was given. */
  reason: string | undefined;
  /** How many failures counted when it changed. */
  failureCount: number;
  /** How many successes counted when it changed. */
  successCount: number;
  /**
   * From where `watch` and `history` go on after this change: pass it as `after`. It is opaque, holds
   * letters, digits, `.`, `-` and `_` only, and names no circuit. It is about 100 characters long,
   * and longer while many transactions run at once.
   */
  cursor: string;
}

/** Says that changes may be missing, for `onBreak` of `watch`. */
export interface WatchBreak {
  /** When the watch noticed it, in epoch milliseconds of the caller's clock. */
  at: number;
  /** What happened, in words for people. */
  reason: string;
}

/**
 * How `watch` watches.
 *
 * @example Going on after a restart of the watcher
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { PGlite } from "@electric-sql/pglite";
 *
 * const db = new PGlite();
 * await migrate(db);
 * await using store = new PostgresCircuitBreakerStore(db);
 * await store.transition("payments", "open");
 * const [opened] = await store.history();
 * await store.transition("payments", "half-open");
 *
 * for await (const { to } of store.watch({ after: opened!.cursor })) {
 *   assertEquals(to, "half-open");
 *   break;
 * }
 * await db.close();
 * ```
 */
export interface WatchOptions {
  /**
   * Ends the iteration when it aborts: an `AbortSignal`.
   *
   * @default {undefined} until the loop ends or the store is closed
   */
  signal?: {
    /** Whether it has aborted. */
    readonly aborted: boolean;
    /** Adds a function that is called when it aborts. */
    addEventListener(type: "abort", listener: () => void): void;
    /** Removes it. */
    removeEventListener(type: "abort", listener: () => void): void;
  } | undefined;
  /**
   * The `cursor` of a change: the watch delivers what came after it. A watcher that was restarted goes
   * on where it was, if it has kept the cursor.
   *
   * Without a cursor, a change that is being made during the call of `watch` may be delivered or not.
   * So may one that was made through another client before the call, within a round trip.
   *
   * @default {undefined} from the call on
   */
  after?: string | undefined;
  /**
   * Whether the watch also delivers rounds of probes, which leave the circuit `half-open`.
   *
   * @default {false}
   */
  rounds?: boolean | undefined;
  /**
   * Called when changes may be missing: because the server was restarted or replaced, because the log
   * was restored or truncated, or because retention has removed changes that the watch had not
   * delivered. The watch goes on. A program that keeps a copy of all circuits should `list` them again.
   * The watch ignores what the function throws.
   *
   * @default {undefined}
   */
  onBreak?: ((event: WatchBreak) => void) | undefined;
}

/**
 * Which changes `history` reads.
 *
 * @example Who has opened a circuit, and why
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 *
 * const store = new InMemoryCircuitBreakerStore({ instanceId: "gateway-1" });
 * await store.transition("api", "open");
 * await store.forceClosed("api", { actor: "ops", reason: "upstream is fine" });
 * const changes = await store.history({ key: "api" });
 * assertEquals(changes.map(({ to, cause, actor, reason }) => [to, cause, actor, reason]), [
 *   ["open", "trip", "gateway-1", undefined],
 *   ["closed", "force", "ops", "upstream is fine"],
 * ]);
 * ```
 */
export interface HistoryOptions {
  /**
   * Only those of one circuit: any string, or a listed circuit, or a change of it.
   *
   * @default {undefined}
   */
  key?: CircuitKey | undefined;
  /**
   * Only those at this time or later, in epoch milliseconds of the caller's clock.
   *
   * @default {undefined} from the oldest that is kept
   */
  since?: number | undefined;
  /**
   * Only those after this one: the `cursor` of a change. Pass the cursor of the last change of a page
   * to read the next.
   *
   * @default {undefined}
   */
  after?: string | undefined;
  /**
   * How many changes at most, a whole number from 1 to 10,000.
   *
   * @default {100}
   */
  limit?: number | undefined;
  /**
   * Whether it also returns rounds of probes, which leave the circuit `half-open`.
   *
   * @default {false}
   */
  rounds?: boolean | undefined;
}

/** What an operator says about an act: how `release` and `reset` do it. */
export interface ActOptions {
  /**
   * The reason, for other operators: at most 1000 characters.
   *
   * @default {undefined}
   */
  reason?: string | undefined;
  /**
   * Who does it, such as an operator's name: from 1 to 200 characters.
   *
   * @default {undefined} the store's `instanceId`
   */
  actor?: string | undefined;
}

/** How `forceOpen` and `forceClosed` force a state. */
export interface ForceOptions extends ActOptions {
  /**
   * For how many milliseconds, a positive number.
   *
   * @default {undefined} until `release`
   */
  forMs?: number | undefined;
}

/** Which circuits `prune` removes. */
export interface PruneOptions {
  /**
   * How long a closed circuit must have been without results, in milliseconds, from 0. A circuit whose
   * state has changed stays for an hour after that at least.
   */
  idleMs: number;
  /**
   * How many at most, a whole number from 1 to 1,000,000.
   *
   * @default {1000}
   */
  limit?: number | undefined;
}

/** Which circuits to list. */
export interface ListOptions {
  /**
   * Only circuits in this state.
   *
   * @default {undefined}
   */
  state?: CircuitState | undefined;
  /**
   * Only circuits whose listed key comes after this one: pass the last key of the page before.
   *
   * @default {undefined}
   */
  after?: string | undefined;
  /**
   * How many circuits at most, a whole number from 1 to 10,000.
   *
   * @default {100}
   */
  limit?: number | undefined;
}
