/** What must hold of a circuit from one step to the next, whatever a model predicts. */

import { assert, assertEquals } from "@std/assert";
import { Chain } from "./chain.ts";
import type { ModelOptions } from "./circuit_model.ts";
import { ABSENT, type Facts, type LogFacts, type RowFacts } from "./facts.ts";

/** What a history did in a step. */
export interface Step {
  readonly name: string;
  readonly now: number;
  /** Whether it did several things at once, some of them after what the log says. */
  readonly isRace?: boolean;
  /** The instances that had a call. */
  readonly labels: readonly string[];
  /** Results that were recorded. */
  readonly failures?: number;
  readonly successes?: number;
  /** Requests that became probes of the fleet's circuit. */
  readonly admitted?: number;
  /** Permits whose probes end without a result, by the version of their round. */
  readonly handedBack?: readonly number[];
  /** The version of the round whose result is reported, where that belongs to one. */
  readonly reported?: number;
}

const VOTE_STANDS_MS = 30_000;

/** Follows one circuit, and checks each step. */
export class Invariants {
  readonly #options: ModelOptions;
  row: RowFacts = ABSENT;
  readonly #chain = new Chain();
  #failures = 0;
  #successes = 0;
  /** When the failures since the last zeroing were. */
  #times: number[] = [];
  /** Probes of the present round that keep their slots. */
  #probes = 0;
  /** By label: when the voter was last seen to live. */
  readonly #votes = new Map<string, number>();
  /** How often each thing of interest has happened. */
  readonly seen: Map<string, number> = new Map();

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  check(step: Step, { row, log }: Facts): void {
    const before = this.row;
    this.#count(step);
    this.#checkHandBacks(step);
    for (const entry of log) this.#checkEntry(entry, step, row);
    assertEquals(row.state, this.#chain.own, "a state that the log does not know");
    assertEquals(row.version, this.#chain.version, "a version that the log does not know");
    if (step.isRace && log.length > 0) this.#countRest(row, step);
    assertEquals([row.failures, row.successes], [this.#failures, this.#successes], "counts");
    this.#checkDue(before, row, step);
    this.#checkProbes(before, row, log, step);
    this.#checkLateResult(before, row, log, step);
    this.#checkVotes(row, log, step);
    this.row = row;
  }

  #checkEntry(entry: LogFacts, { now }: Step, row: RowFacts): void {
    const { at, from, to, cause } = entry;
    this.#chain.add(entry);
    assertEquals(at, now);
    this.#see(cause === "vote" && to === "open" ? "opened by votes" : cause);
    if (["force", "release", "expiry"].includes(cause)) return;
    if (from === "closed" && to === "open") this.#checkOpening(entry, row, now);
    if (cause === "vote" && entry.reason === null) this.#votes.set(entry.actor, now);
    if (cause === "vote" || to === "open") return;
    this.#successes = 0;
    if (to !== "closed") return;
    this.#failures = 0;
    this.#times = [];
  }

  #see(what: string): void {
    this.seen.set(what, 1 + (this.seen.get(what) ?? 0));
  }

  #checkOpening({ cause, actor }: LogFacts, { voters }: RowFacts, now: number): void {
    const { quorum, trip, failureThreshold } = this.#options;
    assertEquals(cause, quorum === undefined ? "trip" : "vote");
    if (quorum === undefined) {
      if (trip === "store") {
        assert(this.#counted(now) >= failureThreshold, "a trip that is not due");
      }
      return;
    }
    assert(new Set(voters).size >= quorum, `${voters} of ${quorum}`);
    const isStanding = (label: string) =>
      label === actor || now - (this.#votes.get(label) ?? -Infinity) < VOTE_STANDS_MS;
    assert(voters!.every(isStanding), `opened by ${voters}, of whom not all votes stand`);
  }

  /** Where the store opens, the record that makes the threshold due has opened the circuit. */
  #checkDue(before: RowFacts, row: RowFacts, { now, failures = 0 }: Step): void {
    const { quorum, trip, failureThreshold } = this.#options;
    if (failures === 0 || trip === "caller" || quorum !== undefined || row.state !== "closed") {
      return;
    }
    // What an operator has forced is noticed as ended by another call.
    if (before.forced !== null) return;
    assert(this.#counted(now) < failureThreshold, "closed, although it is due to open");
  }

  /** Failures that count. */
  #counted(now: number): number {
    const { failureWindowMs = Infinity } = this.#options;
    return this.#times.filter((at) => now - at < failureWindowMs).length;
  }

  #count({ failures = 0, successes = 0, now }: Step): void {
    this.#failures += failures;
    this.#successes += successes;
    for (let i = 0; i < failures; i++) this.#times.push(now);
  }

  /** Of several successes at once one may have closed the circuit, and those after it count anew. */
  #countRest({ successes: left }: RowFacts, { successes = 0 }: Step): void {
    if (this.#successes === 0 && left < successes) this.#successes = left;
  }

  /** A probe that ends without a result gives its slot back while its round lasts. */
  #checkHandBacks({ handedBack = [] }: Step): void {
    const { state, version } = this.row;
    if (state === "half-open") this.#probes -= handedBack.filter((each) => each === version).length;
  }

  #checkProbes(before: RowFacts, row: RowFacts, log: readonly LogFacts[], step: Step): void {
    const { halfOpenMax, resetTimeoutMs } = this.#options;
    const { now, admitted = 0 } = step;
    const beginning = log.find(({ from, to, cause }) =>
      to === "half-open" && (cause === "round" || cause === "probe" && from === "open")
    );
    const isManual = log.some(({ to, cause }) => to === "half-open" && cause === "manual") ||
      beginning !== undefined && admitted === 0;
    if (row.state !== "half-open") this.#probes = 0;
    else if (isManual) this.#probes = 1;
    else if (beginning !== undefined) this.#probes = admitted;
    else this.#probes += admitted;
    assertEquals(row.probes, this.#probes, "probes of the round");
    assert(row.probes <= halfOpenMax, `${row.probes} probes`);
    assertEquals(row.leaseEnd > 0, row.state === "half-open", "a lease without a round");
    if (beginning === undefined || isManual) return;
    if (before.state === "open") {
      assert(now - before.changedAt >= resetTimeoutMs, "a round that began early");
    } else {
      const isOver = now >= before.leaseEnd || before.settled >= halfOpenMax;
      assert(isOver, "a round that began while another was under way");
    }
  }

  /** The result of a round that is over changes nothing but counts. */
  #checkLateResult(before: RowFacts, row: RowFacts, log: readonly LogFacts[], step: Step): void {
    const { reported, now } = step;
    if (reported === undefined) return;
    if (before.state === "half-open" && before.version === reported) return;
    this.#see("late result");
    const { failureThreshold, quorum } = this.#options;
    const isDue = before.state === "closed" && quorum === undefined &&
      this.#counted(now) >= failureThreshold;
    const changes = log.filter(({ cause }) =>
      !["expiry", "vote"].includes(cause) && !(isDue && cause === "trip")
    );
    assertEquals(changes, [], "a late result");
    assertEquals([row.probes, row.settled, row.inRow], [
      before.probes,
      before.settled,
      before.inRow,
    ]);
  }

  #checkVotes({ votes, seen }: RowFacts, log: readonly LogFacts[], { now, labels }: Step): void {
    for (const { actor } of log.filter(({ cause }) => cause === "vote")) {
      assert(labels.includes(actor), `${actor} voted without a call`);
    }
    assertEquals(new Set(votes).size, votes?.length ?? 0);
    for (const [i, label] of (votes ?? []).entries()) {
      const seenAt = seen![i]!;
      if (seenAt === this.#votes.get(label)) continue;
      // A new vote, or a renewal.
      assert(labels.includes(label), `the vote of ${label} was renewed without a call`);
      assertEquals(seenAt, now);
      this.#votes.set(label, seenAt);
    }
  }
}
