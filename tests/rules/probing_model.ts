/**
 * What a circuit should do, as simply as it can be said: one circuit, its instances, no database. It
 * shares no code with the library.
 */

import type { CircuitBreakerSnapshot, CircuitState } from "../../mod.ts";

export interface ModelRules {
  resetTimeoutMs: number;
  halfOpenMax: number;
  probeTimeoutMs: number;
  failureThreshold: number;
  failureWindowMs?: number;
  successThreshold: number;
  resetBackoff?: { factor: number; maxMs: number };
  trip: "caller";
}

/** The circuit as its row should be. */
export interface ModelRow {
  state: CircuitState;
  version: number;
  /** Failures since the circuit last closed, and when the last ones were, the newest last. */
  failures: number;
  recent: number[];
  /** Failures by tenths of the window, by the number of the tenth. */
  tenths: Map<number, number>;
  successes: number;
  lastFailure: number;
  lastChange: number;
  probes: number;
  leaseEnd: number;
  /** Successes of the round, and since the circuit became half-open. */
  settled: number;
  successesInRow: number;
  /** How long it stays open; 0 where the rules say so. */
  openMs: number;
  failedRounds: number;
  force?: { state: "open" | "closed"; at: number; until: number };
}

/** A row that holds nothing: a new one, and what is left of a circuit that was reset. */
export const BLANK_ROW: ModelRow = {
  state: "closed",
  version: 0,
  failures: 0,
  recent: [],
  tenths: new Map(),
  successes: 0,
  lastFailure: 0,
  lastChange: 0,
  probes: 0,
  leaseEnd: 0,
  settled: 0,
  successesInRow: 0,
  openMs: 0,
  failedRounds: 0,
};

export class Model {
  readonly #rules: ModelRules;
  row: ModelRow | undefined;
  /** The newest tenth of a window: a clock that was set back goes on there, also after a reset. */
  #newest = 0;
  /** The identity of the current round. An instance with another object is late. */
  #round: object = {};
  /** The rounds of the probes whose results an instance owes: of one round. */
  readonly #held = new Map<number, object[]>();

  constructor(rules: ModelRules) {
    this.#rules = rules;
  }

  /**
   * A call looks at the row. A forced state that has ended by its time goes away then, where the circuit's
   * own state is another one.
   */
  notice(now: number): void {
    const { row } = this;
    const force = row?.force;
    if (force && now >= force.until && force.state !== row.state) delete row.force;
  }

  /** The state that all instances should see. */
  snapshot(now: number): CircuitBreakerSnapshot {
    const { row } = this;
    const force = this.#force(now);
    return {
      state: force?.state ?? row?.state ?? "closed",
      failureCount: this.#failures(now),
      successCount: row?.successes ?? 0,
      lastFailureTime: row?.lastFailure ?? 0,
      lastStateChange: force?.at ?? row?.lastChange ?? 0,
    };
  }

  /** How many requests of an instance should be sent as probes, at most. */
  vacancies(instance: number, now: number): number {
    const { row } = this;
    if (row === undefined || this.#force(now) || row.state === "closed") return 0;
    const patience = this.patienceOf(instance, now);
    if (this.#isDue(row, now, patience)) return this.#rules.halfOpenMax;
    return row.state === "half-open" && patience === 0 ? this.#rules.halfOpenMax - row.probes : 0;
  }

  /** An instance that owes the result of an earlier round waits for one more lease. */
  patienceOf(instance: number, now: number): number {
    const owed = this.#held.get(instance)?.[0];
    const { row } = this;
    if (owed === undefined || row === undefined) return 0;
    const isOwn = row.state === "half-open" && owed === this.#round && !this.#isDue(row, now, 0);
    return isOwn ? 0 : this.#rules.probeTimeoutMs;
  }

  /** For how long a request of an instance that is refused should wait, in milliseconds. */
  waitOf(instance: number, now: number): number {
    const force = this.#force(now);
    if (force) return force.until === Infinity ? this.#rules.resetTimeoutMs : force.until - now;
    const row = this.row!;
    const at = row.state === "open" ? row.lastChange + this.#openMs(row) : row.leaseEnd;
    return at - now + (at <= now ? this.patienceOf(instance, now) : 0);
  }

  /** An instance's request became a probe. */
  admit(instance: number, now: number): void {
    const row = this.row!;
    this.#dropEnded(now);
    // It was admitted: whatever it waited for is over.
    if (this.#isDue(row, now, 0)) this.#move(row, "half-open", now);
    else row.probes++;
    row.leaseEnd = now + this.#rules.probeTimeoutMs;
    const held = this.#held.get(instance) ?? [];
    this.#held.set(instance, [...held.filter((each) => each === this.#round), this.#round]);
  }

  recordSuccess(): void {
    this.#kept().successes++;
  }

  recordFailure(now: number): void {
    const row = this.#kept();
    row.failures++;
    row.lastFailure = now;
    row.recent = [...row.recent, now].slice(-this.#rules.failureThreshold);
    const tenth = this.#tenthOf(now);
    const isAnew = Math.abs(tenth - this.#newest) >= 10;
    if (isAnew) row.tenths = new Map();
    this.#newest = isAnew ? tenth : Math.max(tenth, this.#newest);
    const failures = (row.tenths.get(this.#newest) ?? 0) + 1;
    row.tenths = new Map(row.tenths).set(this.#newest, failures);
  }

  /** An instance asks for a state: as the result of its probe where it holds one. */
  transition(instance: number, to: CircuitState, now: number): void {
    const round = to === "half-open" ? undefined : this.#held.get(instance)?.shift();
    if (round === undefined) return this.#moveByHand(to, now);
    const { row } = this;
    if (row === undefined || this.#force(now)) return;
    const inTime = row.state === "half-open" && round === this.#round;
    const dueToOpen = row.state === "closed" && to === "open" &&
      this.#failures(now) >= this.#rules.failureThreshold &&
      this.#isAllRecent(row, now);
    if (inTime && to === "closed") {
      row.settled++;
      row.successesInRow++;
      this.#dropEnded(now);
      if (row.successesInRow < this.#rules.successThreshold) return;
    }
    if (inTime || dueToOpen) this.#move(row, to, now);
  }

  #moveByHand(to: CircuitState, now: number): void {
    if (to === "closed" && this.row === undefined) return;
    const row = this.#kept();
    if (this.#force(now) || to === "open" && row.state !== "closed") return;
    if (row.state === to) {
      if (to === "closed") this.#forget(row, now);
      return;
    }
    this.#move(row, to, now);
    if (to !== "half-open") return;
    row.probes = 1;
    row.leaseEnd = now + this.#rules.probeTimeoutMs;
  }

  force(state: "open" | "closed", forMs: number, now: number): void {
    const row = this.#kept();
    row.force = { state, at: now, until: now + forMs };
    row.version++;
    this.#round = {};
  }

  release(now: number): void {
    if (this.row === undefined) return;
    if (this.#force(now)) {
      this.row.version++;
      this.#round = {};
    }
    this.row.force = undefined;
  }

  reset(): void {
    this.row = undefined;
    this.#round = {};
  }

  crash(instance: number): void {
    this.#held.delete(instance);
  }

  /** The instances whose probes have not reported. */
  holders(): number[] {
    return [...this.#held.keys()].filter((instance) => this.#held.get(instance)!.length > 0);
  }

  #force(now: number): ModelRow["force"] {
    const force = this.row?.force;
    return force && now < force.until ? force : undefined;
  }

  /** A forced state that has ended by its time goes away with the next change. */
  #dropEnded(now: number): void {
    if (this.row?.force && !this.#force(now)) delete this.row.force;
  }

  #openMs(row: ModelRow): number {
    return row.openMs || this.#rules.resetTimeoutMs;
  }

  #isDue(row: ModelRow, now: number, patience: number): boolean {
    const { resetTimeoutMs, halfOpenMax } = this.#rules;
    const ahead = row.lastChange - now;
    if (row.state === "open") return Math.abs(ahead) >= this.#openMs(row) + patience;
    return ahead >= resetTimeoutMs + patience || now >= row.leaseEnd + patience ||
      patience === 0 && row.settled >= halfOpenMax;
  }

  #isRecent(at: number, now: number): boolean {
    const { failureWindowMs = Infinity } = this.#rules;
    return now - at < failureWindowMs && at - now < failureWindowMs;
  }

  #failures(now: number): number {
    if (this.row === undefined) return 0;
    if (this.#rules.failureWindowMs === undefined) return this.row.failures;
    const recent = this.row.recent.filter((at) => this.#isRecent(at, now)).length;
    if (!this.#isAllRecent(this.row, now)) return recent;
    // Those before the last ones are known by tenths.
    const tenth = this.#tenthOf(now);
    const newest = this.#newest;
    if (Math.abs(tenth - newest) >= 10) return recent;
    const counted = [...this.row.tenths].filter(([number]) =>
      number > Math.max(tenth, newest) - 10
    );
    return Math.max(recent, counted.reduce((sum, [, failures]) => sum + failures, 0));
  }

  #tenthOf(at: number): number {
    return Math.trunc(at / Math.floor((this.#rules.failureWindowMs ?? 10) / 10));
  }

  /** Whether the last failures were all in the window, as far as they are known. */
  #isAllRecent({ recent }: ModelRow, now: number): boolean {
    return recent.every((at) => this.#isRecent(at, now));
  }

  #kept(): ModelRow {
    return this.row ??= { ...BLANK_ROW };
  }

  #move(row: ModelRow, to: CircuitState, now: number): void {
    this.#dropEnded(now);
    const { resetTimeoutMs, halfOpenMax, resetBackoff } = this.#rules;
    row.openMs = 0;
    if (to === "open") {
      if (row.state === "half-open") row.failedRounds++;
      else if (Math.abs(now - row.lastChange) >= resetTimeoutMs) row.failedRounds = 0;
      if (resetBackoff) {
        const { factor, maxMs } = resetBackoff;
        row.openMs = Math.min(resetTimeoutMs * factor ** row.failedRounds, maxMs);
      }
    }
    const isWhole = row.settled >= Math.min(row.probes, halfOpenMax);
    const goesOn = to === "half-open" && row.state === "half-open" && isWhole;
    if (!goesOn) row.successesInRow = 0;
    row.settled = 0;
    row.state = to;
    row.version++;
    row.lastChange = now;
    if (to !== "open") row.successes = 0;
    if (to === "closed") this.#forget(row, now);
    row.probes = to === "half-open" ? 1 : 0;
    row.leaseEnd = 0;
    this.#round = {};
  }

  /** Closing zeroes both counters, also of a circuit that is closed already. */
  #forget(row: ModelRow, now: number): void {
    if (row.failures + row.successes + row.recent.length > 0) this.#dropEnded(now);
    row.successes = 0;
    row.failures = 0;
    row.recent = [];
    row.tenths = new Map();
  }
}
