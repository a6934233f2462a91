/**
 * What one circuit does, as simply as it can be said: the fleet's, or an instance's own where a quorum
 * decides. It shares no code with the library.
 */

import type { CircuitBreakerSnapshot, CircuitState, PermitOutcome } from "../../mod.ts";

/** The options that a history draws. */
export interface ModelOptions {
  resetTimeoutMs: number;
  probeTimeoutMs: number;
  halfOpenMax: number;
  successThreshold: number;
  failureThreshold: number;
  failureWindowMs?: number;
  resetBackoff?: { factor: number; maxMs: number };
  quorum?: number;
  trip: "caller" | "store";
}

/** Identifies a round of probes: a result with another one is late. */
export type Round = Record<never, never>;

/** For how long a vote stands after its instance was last seen. */
const VOTE_STANDS_MS = 30_000;

export class CircuitModel {
  readonly #options: ModelOptions;
  /** Whether the record that makes the threshold due opens the circuit. */
  readonly #opensByRecords: boolean;
  state: CircuitState = "closed";
  changedAt = 0;
  /** Results since they were last zeroed, and when the failures were. */
  failures = 0;
  successes = 0;
  times: number[] = [];
  lastFailure = 0;
  /** Probes of the round, when their lease ends, and how many of them succeeded. */
  probes = 0;
  leaseEnd = 0;
  settled = 0;
  /** Successes since the circuit became half-open. */
  inRow = 0;
  /** How long it stays open; 0 where the options say so. */
  openMs = 0;
  failedRounds = 0;
  force: { state: "open" | "closed"; at: number; until: number } | undefined;
  round: Round = {};
  /** How often the successes were zeroed. */
  zeroings = 0;
  /** By label: when the voter was last seen. */
  votes: Map<string, number> = new Map();
  voters: string[] = [];
  muted: string[] = [];

  constructor(options: ModelOptions, opensByRecords: boolean) {
    this.#options = options;
    this.#opensByRecords = opensByRecords;
  }

  isForced(now: number): boolean {
    return this.force !== undefined && now < this.force.until;
  }

  /** The state that callers see. */
  effective(now: number): CircuitState {
    return this.isForced(now) ? this.force!.state : this.state;
  }

  snapshot(now: number): CircuitBreakerSnapshot {
    return {
      state: this.effective(now),
      failureCount: this.countedFailures(now),
      successCount: this.successes,
      lastFailureTime: this.lastFailure,
      lastStateChange: this.isForced(now) ? this.force!.at : this.changedAt,
    };
  }

  /** Failures that count: those of the window. */
  countedFailures(now: number): number {
    const { failureWindowMs } = this.#options;
    if (failureWindowMs === undefined) return this.failures;
    return this.times.filter((at) => now - at < failureWindowMs).length;
  }

  standingVotes(now: number): Map<string, number> {
    return new Map([...this.votes].filter(([, seenAt]) => now - seenAt < VOTE_STANDS_MS));
  }

  /** A call other than a record looks at the circuit: a forced state that has ended is logged. */
  notice(now: number): void {
    if (this.force === undefined || this.isForced(now) || this.force.state === this.state) return;
    this.force = undefined;
    this.round = {};
  }

  /** Whether a new round of probes may begin after it could have for so long. */
  isRoundDue(now: number, patienceMs: number): boolean {
    const { resetTimeoutMs, halfOpenMax } = this.#options;
    if (this.state === "closed") return false;
    if (this.state === "open") {
      return now >= this.changedAt + (this.openMs || resetTimeoutMs) + patienceMs;
    }
    return now >= this.leaseEnd + patienceMs || patienceMs === 0 && this.settled >= halfOpenMax;
  }

  /** How many probes may be admitted. */
  vacancies(now: number, patienceMs: number): number {
    if (this.isForced(now) || this.state === "closed") return 0;
    if (this.isRoundDue(now, patienceMs)) return this.#options.halfOpenMax;
    return this.state === "half-open" && patienceMs === 0
      ? this.#options.halfOpenMax - this.probes
      : 0;
  }

  /** When asking again is worth it. */
  retryAt(): number {
    return this.state === "open"
      ? this.changedAt + (this.openMs || this.#options.resetTimeoutMs)
      : this.leaseEnd;
  }

  admit(now: number): void {
    this.#written(now);
    if (this.isRoundDue(now, 0)) this.#move("half-open", now);
    else this.probes++;
    this.leaseEnd = now + this.#options.probeTimeoutMs;
  }

  /** Counts a result, and judges the circuit by it where that is a failure. */
  record(outcome: "success" | "failure", now: number): void {
    this.#count(outcome, now);
    if (outcome === "success" || !this.#opensByRecords || this.isForced(now)) return;
    // A forced state that has ended is noticed first, by another call.
    const isNoticed = this.force === undefined || this.force.state === this.state;
    if (isNoticed && this.#isDue(now)) this.#move("open", now);
  }

  /** Applies the result of a probe, which was recorded before. `by` is the instance that reports it. */
  settle(round: Round, outcome: PermitOutcome, by: string, now: number): void {
    this.notice(now);
    if (this.isForced(now)) return;
    if (this.state !== "half-open" || this.round !== round) {
      if (outcome === "failure" && this.#options.quorum === undefined && this.#isDue(now)) {
        this.#move("open", now);
      }
      return;
    }
    this.#written(now);
    if (outcome === "failure") this.#move("open", now);
    if (outcome === "ignored") this.probes--;
    if (outcome !== "success") return;
    this.settled++;
    this.inRow++;
    if (this.inRow < this.#options.successThreshold) return;
    // The upstream works for an instance that did not vote: the voters must not open it again.
    const isByVoter = this.voters.includes(by);
    const muted = isByVoter ? this.muted : [...this.voters, ...this.muted];
    this.muted = [...new Set(muted)].filter((label) => label !== by);
    this.#move("closed", now);
  }

  /** A caller's move, which is no result of a probe. */
  move(to: CircuitState, now: number): void {
    this.notice(now);
    if (this.isForced(now)) return;
    if (to === "open") {
      const isPremature = this.#options.trip === "store" && !this.#isDue(now);
      if (this.state === "closed" && !isPremature) this.#move("open", now);
    } else if (this.state !== to) {
      this.#move(to, now);
      if (to !== "half-open") return;
      this.probes = 1;
      this.leaseEnd = now + this.#options.probeTimeoutMs;
    } else if (to === "closed" && this.failures + this.successes > 0) {
      this.#written(now);
      this.#zero("closed");
    }
  }

  forceTo(state: "open" | "closed", forMs: number, now: number): void {
    this.notice(now);
    this.force = { state, at: now, until: now + forMs };
    this.round = {};
    if (state === "open" || this.state !== "closed") this.votes.clear();
  }

  release(now: number): void {
    this.notice(now);
    if (this.isForced(now)) this.round = {};
    this.force = undefined;
  }

  reset(now: number): void {
    this.notice(now);
    const isBlank = this.state === "closed" && this.failures === 0 && this.successes === 0 &&
      this.lastFailure === 0 && this.changedAt === 0 && this.force === undefined &&
      this.votes.size === 0;
    if (isBlank) return;
    this.force = undefined;
    this.state = "closed";
    this.changedAt =
      this.lastFailure =
      this.openMs =
      this.failedRounds =
        0;
    this.muted = this.voters = [];
    this.#endRound();
    this.#zero("closed");
    this.inRow = 0;
  }

  /** Casts or renews a vote. The one that completes the quorum opens the circuit. */
  vote(label: string, now: number): void {
    this.notice(now);
    if (this.state !== "closed" || this.effective(now) !== "closed") return;
    if (this.muted.includes(label)) return;
    this.#written(now);
    const standing = this.standingVotes(now).set(label, now);
    // A new vote takes a version.
    if (!this.standingVotes(now).has(label)) this.round = {};
    this.votes = standing;
    if (this.isForced(now) || standing.size < this.#options.quorum!) return;
    const voters = [...standing.keys()];
    this.#move("open", now);
    this.voters = voters;
  }

  withdraw(label: string, now: number): void {
    this.notice(now);
    if (this.votes.has(label)) {
      this.votes = this.standingVotes(now);
      this.votes.delete(label);
    }
    this.muted = this.muted.filter((each) => each !== label);
  }

  #isDue(now: number): boolean {
    return this.state === "closed" && this.countedFailures(now) >= this.#options.failureThreshold;
  }

  #count(outcome: "success" | "failure", now: number): void {
    if (outcome === "success") this.successes++;
    else {
      this.failures++;
      this.times.push(now);
      this.lastFailure = now;
    }
  }

  #move(to: CircuitState, now: number): void {
    const { resetTimeoutMs, halfOpenMax, resetBackoff } = this.#options;
    this.#written(now);
    this.openMs = 0;
    if (to === "open") {
      if (this.state === "half-open") this.failedRounds++;
      else if (now - this.changedAt >= resetTimeoutMs) this.failedRounds = 0;
      if (resetBackoff) {
        const { factor, maxMs } = resetBackoff;
        this.openMs = Math.min(resetTimeoutMs * factor ** this.failedRounds, maxMs);
      }
    }
    const isWhole = this.settled >= Math.min(this.probes, halfOpenMax);
    const goesOn = to === "half-open" && this.state === "half-open" && isWhole;
    if (!goesOn) this.inRow = 0;
    if (this.state === "closed" || to === "closed") this.voters = [];
    this.state = to;
    this.changedAt = now;
    this.votes.clear();
    this.#endRound();
    this.probes = to === "half-open" ? 1 : 0;
    if (to !== "open") this.#zero(to);
  }

  #endRound(): void {
    this.probes = this.leaseEnd = this.settled = 0;
    this.round = {};
  }

  #zero(to: "closed" | "half-open"): void {
    this.round = {};
    this.successes = 0;
    this.zeroings++;
    if (to === "half-open") return;
    this.failures = 0;
    this.times = [];
    this.votes.clear();
  }

  /** A forced state that has ended goes away with a write. */
  #written(now: number): void {
    if (!this.isForced(now)) this.force = undefined;
  }
}
