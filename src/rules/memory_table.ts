import { ABSENT_CIRCUIT, type Circuit, withDetails } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";
import type { Act } from "../options/force.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { PermitOutcome } from "../permit.ts";
import type { Answer, LogCause, Source } from "../ports.ts";
import type { CircuitState } from "../types.ts";
import { opening } from "./backoff.ts";
import { countFailures, countResults, NOTHING_COUNTED } from "./counting.ts";
import { effectiveState } from "./forcing.ts";
import { isUnlogged, unloggedCause } from "./logging.ts";
import type { MemoryLog } from "./memory_log.ts";
import { openedAtAfter } from "./moving.ts";
import { keptSuccesses, leaseAfterMove } from "./probing.ts";
import { refusedAfter } from "./refusing.ts";
import { settlement } from "./settling.ts";
import {
  dropEnded,
  type LogOfCircuits,
  type MemoryBounds,
  type StoredCircuit,
  zeroCounters,
} from "./stored_circuit.ts";

/** Circuits in a map, and the log of their changes: what the table is for the statements. */
export class MemoryTable {
  readonly #stored = new Map<string, StoredCircuit>();
  readonly #rules: CircuitRules;
  readonly #now: () => number;
  readonly #source: Source;
  readonly #bounds: MemoryBounds | undefined;
  readonly #logged: LogOfCircuits | undefined;
  /** Circuits with a forced state that ends by its time. */
  readonly #ending = new Set<StoredCircuit>();
  /** No version comes back, also not after a reset. */
  #lastVersion = 0;

  constructor(
    rules: CircuitRules,
    now: () => number,
    source: Source,
    bounds?: MemoryBounds,
    logged?: LogOfCircuits,
  ) {
    this.#rules = rules;
    this.#bounds = bounds;
    this.#logged = logged;
    this.#source = source;
    this.#now = () => Math.floor(now());
  }

  /** The time of the clock that decides. */
  now(): number {
    return this.#now();
  }

  get log(): MemoryLog | undefined {
    return this.#logged?.log;
  }

  circuits(): Iterable<StoredCircuit> {
    return this.#stored.values();
  }

  remove(stored: StoredCircuit): void {
    this.#stored.delete(stored.key);
    this.#ending.delete(stored);
  }

  /** Forgets all circuits. */
  clear(): void {
    this.#stored.clear();
    this.#ending.clear();
  }

  /** The forced state of a circuit ends by its time, which is to be noticed. */
  endsByTime(stored: StoredCircuit): void {
    this.#ending.add(stored);
  }

  /** A circuit. All calls but records notice that its forced state has ended. */
  find(key: string, now: number): StoredCircuit | undefined {
    const found = this.#lookUp(key, now);
    return found === undefined ? undefined : this.noticed(found, now);
  }

  /** A circuit as it is, without noticing anything. Another store can know one that is not here yet. */
  known(key: string): StoredCircuit | undefined | "unknown" {
    return this.#stored.get(key) ?? (this.#bounds === undefined ? undefined : "unknown");
  }

  #lookUp(key: string, now: number): StoredCircuit | undefined {
    const stored = this.#stored.get(key);
    if (stored !== undefined) return stored;
    const known = this.#bounds?.known.get(key);
    if (known === undefined) return undefined;
    // Only the count of a window is known, not its times: each counts as if at the last failure. What
    // rates count is not known.
    const results = { failures: known.failureCount, successes: 0 };
    const rules = { ...this.#rules, trip: { ...this.#rules.trip, rates: undefined } };
    return this.#keep({
      ...known,
      ...countResults(NOTHING_COUNTED, results, known.lastFailureTime, rules),
      loggedState: effectiveState(known, now),
      // As many succeeded at least, as far as this instance knows.
      probeSuccesses: known.details.probeSettled,
      failedRounds: 0,
      refusedCount: 0,
      updatedAt: now,
    });
  }

  findOrAdd(key: string, now: number): StoredCircuit {
    return this.#lookUp(key, now) ?? this.add(key);
  }

  add(key: string): StoredCircuit {
    return this.#keep({
      ...ABSENT_CIRCUIT,
      ...NOTHING_COUNTED,
      key,
      loggedState: "closed",
      probeSuccesses: 0,
      failedRounds: 0,
      refusedCount: 0,
      updatedAt: 0,
    });
  }

  #keep(stored: StoredCircuit): StoredCircuit {
    keepLast(this.#stored, stored.key, stored, this.#bounds?.capacity ?? Infinity);
    return stored;
  }

  /** A change of state, or a new round of probes. */
  move(stored: StoredCircuit, to: CircuitState, now: number, cause: LogCause): void {
    this.change(stored, now, cause, undefined, (version) => {
      const opens = to === "open" ? opening(stored, now, this.#rules, Math.random()) : undefined;
      const probeSuccesses = to === "half-open" && this.#rules.probing !== undefined
        ? keptSuccesses(stored, this.#rules.probing)
        : 0;
      stored.details = withDetails(stored, { probeSettled: 0, resetMs: opens?.resetMs ?? 0 });
      stored.failedRounds = opens?.failedRounds ?? stored.failedRounds;
      stored.openedAt = openedAtAfter(stored, to, now);
      stored.state = to;
      stored.lastStateChange = now;
      zeroCounters(stored, to, version);
      Object.assign(stored, leaseAfterMove(to, now, this.#rules.probing), { probeSuccesses });
    });
  }

  /** Applies the result of a probe to the present round. */
  settle(stored: StoredCircuit, outcome: PermitOutcome, now: number): void {
    const { closes, opens, probeCount, probeSettled, probeSuccesses } = settlement(
      stored,
      outcome,
      this.#rules.probing!,
    );
    if (closes || opens) return this.move(stored, closes ? "closed" : "open", now, "probe");
    dropEnded(stored, now);
    stored.details = withDetails(stored, { probeSettled });
    Object.assign(stored, { probeCount, probeSuccesses, updatedAt: now });
  }

  /** Changes a circuit: gives it a version and logs it. The counts in the log are those before. */
  change(
    stored: StoredCircuit,
    now: number,
    cause: LogCause,
    act: Act | undefined,
    change: (version: number) => void,
  ): void {
    const version = this.#lastVersion = Math.max(this.#lastVersion, stored.version) + 1;
    const { key, loggedState: from, successCount } = stored;
    const failureCount = countFailures(stored, now, this.#rules);
    dropEnded(stored, now);
    change(version);
    stored.version = version;
    stored.updatedAt = now;
    const to = stored.loggedState = effectiveState(stored, now);
    stored.refusedCount = refusedAfter(stored, from, to);
    if (this.#logged === undefined) return;
    this.#logged.onLogged({ key, from, to, cause });
    this.#logged.log.append({
      key,
      version,
      at: now,
      from,
      to,
      cause,
      actor: cause === "expiry" ? "" : this.actorOf(act),
      role: "",
      reason: act?.reason,
      failureCount,
      successCount,
    });
  }

  actorOf(act: Act | undefined): string {
    return act?.actor ?? this.#logged?.actor ?? "";
  }

  /** Logs that a forced state has ended by its time, where the log does not know it yet. */
  noticed(stored: StoredCircuit, now: number): StoredCircuit {
    if (!isUnlogged(stored, stored.loggedState, now)) return stored;
    const cause = unloggedCause(stored, stored.loggedState, now);
    this.change(stored, now, cause, undefined, () => {});
    return stored;
  }

  noticeEnded(): void {
    const now = this.#now();
    for (const stored of this.#ending) {
      this.noticed(stored, now);
      const { forced } = stored;
      if (forced?.until === undefined || forced.until <= now) this.#ending.delete(stored);
    }
  }

  answer(stored: StoredCircuit | undefined): Answer {
    return stored === undefined
      ? { circuit: undefined, source: this.#source }
      : this.answerFound(stored);
  }

  answerFound(stored: StoredCircuit): Answer<Circuit> {
    return { circuit: this.shown(stored), source: this.#source };
  }

  /** A copy, so that callers cannot change the stored circuit. */
  shown(stored: StoredCircuit): Circuit {
    const readAt = this.#now();
    return { ...stored, failureCount: countFailures(stored, readAt, this.#rules), readAt };
  }
}
