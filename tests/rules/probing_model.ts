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
}

/** The circuit as its row should be. */
export interface ModelRow {
  state: CircuitState;
  version: number;
  /** Failures since the circuit last closed, and when those of the window were. */
  failures: number;
  recent: number[];
  successes: number;
  lastFailure: number;
  lastChange: number;
  probes: number;
  leaseEnd: number;
  force?: { state: "open" | "closed"; at: number; until: number };
}

/** A row that holds nothing: a new one, and what is left of a circuit that was reset. */
export const BLANK_ROW: ModelRow = {
  state: "closed",
  version: 0,
  failures: 0,
  recent: [],
  successes: 0,
  lastFailure: 0,
  lastChange: 0,
  probes: 0,
  leaseEnd: 0,
};

interface Held {
  round: object;
  forgottenAt: number;
}

export class Model {
  readonly #rules: ModelRules;
  row: ModelRow | undefined;
  /** The identity of the current round. An instance with another object is late. */
  #round: object = {};
  readonly #held = new Map<number, Held[]>();

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

  /** How many requests should be sent as probes, at most. */
  vacancies(now: number): number {
    const { row } = this;
    if (row === undefined || this.#force(now) || row.state === "closed") return 0;
    if (this.#isDue(row, now)) return this.#rules.halfOpenMax;
    return row.state === "half-open" ? this.#rules.halfOpenMax - row.probes : 0;
  }

  /** For how long a request that is refused should wait, in milliseconds. */
  waitOf(now: number): number {
    const force = this.#force(now);
    if (force) return force.until === Infinity ? this.#rules.resetTimeoutMs : force.until - now;
    const { state, lastChange, leaseEnd } = this.row!;
    return (state === "open" ? lastChange + this.#rules.resetTimeoutMs : leaseEnd) - now;
  }

  /** An instance's request became a probe. */
  admit(instance: number, now: number): void {
    const row = this.row!;
    this.#dropEnded(now);
    if (this.#isDue(row, now)) this.#move(row, "half-open", now);
    else row.probes++;
    row.leaseEnd = now + this.#rules.probeTimeoutMs;
    const held = this.#heldBy(instance, now);
    held.push({ round: this.#round, forgottenAt: now + 10 * this.#rules.probeTimeoutMs });
    this.#held.set(instance, held);
  }

  recordSuccess(): void {
    this.#kept().successes++;
  }

  recordFailure(now: number): void {
    const row = this.#kept();
    row.failures++;
    row.lastFailure = now;
    row.recent = [...row.recent.filter((at) => this.#isRecent(at, now)), now];
  }

  /** An instance asks for a state: as the result of its probe where it holds one. */
  transition(instance: number, to: CircuitState, now: number): void {
    const result = to === "half-open" ? undefined : this.#take(instance, now);
    if (result === undefined) return this.#moveByHand(to, now);
    const { row } = this;
    if (row === undefined || this.#force(now)) return;
    const inTime = row.state === "half-open" && result.round === this.#round;
    const dueToOpen = row.state === "closed" && to === "open" &&
      this.#failures(now) >= this.#rules.failureThreshold;
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

  #isDue(row: ModelRow, now: number): boolean {
    const { resetTimeoutMs } = this.#rules;
    const ahead = row.lastChange - now;
    if (ahead >= resetTimeoutMs) return true;
    return row.state === "open" ? -ahead >= resetTimeoutMs : now >= row.leaseEnd;
  }

  #isRecent(at: number, now: number): boolean {
    const { failureWindowMs = Infinity } = this.#rules;
    return now - at < failureWindowMs && at - now < failureWindowMs;
  }

  #failures(now: number): number {
    if (this.row === undefined) return 0;
    if (this.#rules.failureWindowMs === undefined) return this.row.failures;
    return this.row.recent.filter((at) => this.#isRecent(at, now)).length;
  }

  #kept(): ModelRow {
    return this.row ??= { ...BLANK_ROW };
  }

  #move(row: ModelRow, to: CircuitState, now: number): void {
    this.#dropEnded(now);
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
  }

  #heldBy(instance: number, now: number): Held[] {
    return (this.#held.get(instance) ?? []).filter((each) => now < each.forgottenAt);
  }

  /** The youngest: an older probe of the same instance was given up long before. */
  #take(instance: number, now: number): Held | undefined {
    const held = this.#heldBy(instance, now);
    const taken = held.pop();
    this.#held.set(instance, held);
    return taken;
  }
}
