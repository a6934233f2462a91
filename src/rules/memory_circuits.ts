import { ABSENT_CIRCUIT, type Circuit, type Round } from "../circuit.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { PermitOutcome } from "../permit.ts";
import type {
  Admin,
  Answer,
  Calls,
  ClaimAnswer,
  KnownCalls,
  KnownCircuit,
  ListedCircuit,
  LogPage,
  LogRequest,
  PruneRequest,
  Source,
  Tail,
} from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitState } from "../types.ts";
import { addCount, countResults, type Results, zeroFailures } from "./counting.ts";
import { effectiveState, forcedAt } from "./forcing.ts";
import { isUnlogged } from "./logging.ts";
import { MemoryTable } from "./memory_table.ts";
import { isCurrentRound, isRowNeeded, judgeMove, moveCause } from "./moving.ts";
import { isRoundDue, vacantProbes } from "./probing.ts";
import {
  dropEnded,
  isBlank,
  isRemovable,
  type LogOfCircuits,
  type MemoryBounds,
  pageOf,
  type StoredCircuit,
  zeroCounters,
} from "./stored_circuit.ts";
import { isTripDue } from "./tripping.ts";

/** Circuits in a map, by the same rules as the statements on the table. */
export class MemoryCircuits implements Calls, KnownCalls, Admin, Pick<Tail, "log"> {
  readonly #table: MemoryTable;
  readonly #rules: CircuitRules;

  constructor(
    rules: CircuitRules,
    now: () => number,
    source: Source,
    bounds?: MemoryBounds,
    logged?: LogOfCircuits,
  ) {
    this.#table = new MemoryTable(rules, now, source, bounds, logged);
    this.#rules = rules;
  }

  // deno-lint-ignore require-await
  async read(_call: Call, key: string): Promise<Answer> {
    return this.#table.answer(this.#table.find(key, this.#table.now()));
  }

  known(key: string): KnownCircuit | undefined | "unknown" {
    return this.#table.known(key);
  }

  countSuccess(key: string, isSlow: boolean): boolean {
    this.#count(key, { failures: 0, successes: 1, slow: isSlow ? 1 : 0 });
    return true;
  }

  // deno-lint-ignore require-await
  async recordSuccess(_call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    return this.#record(key, { failures: 0, successes: 1, slow: isSlow ? 1 : 0 });
  }

  // deno-lint-ignore require-await
  async recordFailure(_call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    return this.#record(key, { failures: 1, successes: 0, slow: isSlow ? 1 : 0 });
  }

  #record(key: string, results: Results): Answer<Circuit> {
    return this.#table.answerFound(this.#count(key, results));
  }

  #count(key: string, results: Results): StoredCircuit {
    const now = this.#table.now();
    const stored = this.#table.findOrAdd(key, now);
    Object.assign(stored, countResults(stored, results, now, this.#rules));
    stored.successCount = addCount(stored.successCount, results.successes);
    stored.updatedAt = now;
    if (results.failures > 0) stored.lastFailureTime = now;
    // Where the log does not know the circuit as it is, the next read notices that, and a later record
    // opens it.
    const isKnown = stored.loggedState === "closed" && forcedAt(stored.forced, now) === undefined;
    if (this.#mayTrip(results) && isKnown && isTripDue(stored, now, this.#rules)) {
      this.#table.move(stored, "open", now, "trip");
    }
    return stored;
  }

  /** Whether results can make a circuit due that the store opens: successes only by a rate. */
  #mayTrip({ failures }: Results): boolean {
    const { isByStore, rates } = this.#rules.trip;
    return isByStore && (failures > 0 || rates !== undefined);
  }

  // deno-lint-ignore require-await
  async transition(_call: Call, key: string, to: CircuitState): Promise<Answer> {
    const now = this.#table.now();
    const found = this.#table.find(key, now);
    if (found === undefined && !isRowNeeded(to, this.#rules)) return this.#table.answer(undefined);
    const stored = found ?? this.#table.add(key);
    const move = judgeMove(stored, to, now, this.#rules);
    if (move.moves) {
      this.#table.move(stored, to, now, moveCause(stored.state, to));
    } else if (
      // A counter that is zero already does not fall.
      move.zeroesFailures && (stored.failureCount > 0 || stored.recentFailures.length > 0) ||
      move.zeroesSuccesses && stored.successCount > 0
    ) {
      this.#table.change(
        stored,
        now,
        "zeroed",
        undefined,
        (version) => zeroCounters(stored, to, version),
      );
    }
    return this.#table.answer(stored);
  }

  // deno-lint-ignore require-await
  async claim(_call: Call, key: string, patienceMs: number): Promise<ClaimAnswer> {
    const now = this.#table.now();
    const stored = this.#table.find(key, now);
    if (stored === undefined) return { ...this.#table.answer(stored), isAdmitted: false };
    const probing = this.#rules.probing!;
    const isAdmitted = forcedAt(stored.forced, now) === undefined &&
      vacantProbes(stored, now, probing, patienceMs) > 0;
    if (isAdmitted) {
      if (isRoundDue(stored, now, probing, patienceMs)) {
        this.#table.move(
          stored,
          "half-open",
          now,
          stored.state === "half-open" ? "round" : "probe",
        );
      } else {
        stored.probeCount++;
      }
      dropEnded(stored, now);
      stored.probeExpiresAt = now + probing.probeTimeoutMs;
      stored.updatedAt = now;
    }
    return { ...this.#table.answer(stored), isAdmitted };
  }

  // deno-lint-ignore require-await
  async settle(_call: Call, key: string, outcome: PermitOutcome, round: Round): Promise<Answer> {
    const now = this.#table.now();
    const stored = this.#table.find(key, now);
    if (stored === undefined) return this.#table.answer(undefined);
    if (forcedAt(stored.forced, now) !== undefined) return this.#table.answer(stored);
    if (isCurrentRound({ ...stored, readAt: now }, round)) {
      this.#table.settle(stored, outcome, now);
    } else if (outcome === "failure" && isTripDue(stored, now, this.#rules)) {
      this.#table.move(stored, "open", now, moveCause(stored.state, "open"));
    }
    return this.#table.answer(stored);
  }

  // deno-lint-ignore require-await
  async force(_call: Call, key: string, force: Force): Promise<Answer> {
    const { state, forMs, reason } = force;
    const now = this.#table.now();
    const found = this.#table.find(key, now);
    if (state === undefined && found === undefined) return this.#table.answer(undefined);
    const stored = found ?? this.#table.add(key);
    if (state === undefined && forcedAt(stored.forced, now) === undefined) {
      dropEnded(stored, now);
      return this.#table.answer(stored);
    }
    const until = forMs === undefined ? undefined : now + forMs;
    this.#table.change(stored, now, state === undefined ? "release" : "force", force, () => {
      stored.forced = state && { state, at: now, until, reason, by: this.#table.actorOf(force) };
    });
    if (until !== undefined) this.#table.endsByTime(stored);
    return this.#table.answer(stored);
  }

  // deno-lint-ignore require-await
  async reset(_call: Call, key: string, act: Act): Promise<Answer> {
    const now = this.#table.now();
    const stored = this.#table.find(key, now);
    if (stored === undefined || isBlank(stored)) return this.#table.answer(stored);
    const isShown = effectiveState(stored, now) !== "closed" ||
      forcedAt(stored.forced, now) !== undefined;
    this.#table.change(stored, now, isShown ? "reset" : "zeroed", act, (zeroedVersion) => {
      Object.assign(stored, ABSENT_CIRCUIT, {
        zeroedVersion,
        ...zeroFailures(stored),
        probeSuccesses: 0,
        failedRounds: 0,
        refusedCount: 0,
      });
    });
    return this.#table.answer(stored);
  }

  /** Counts a request that was refused. */
  countRefused(key: string): void {
    const stored = this.#table.find(key, this.#table.now());
    if (stored !== undefined) stored.refusedCount = addCount(stored.refusedCount, 1);
  }

  // deno-lint-ignore require-await
  async readMany(_call: Call, keys: readonly string[]): Promise<Circuit[]> {
    return keys.flatMap((key) => {
      const stored = this.#table.find(key, this.#table.now());
      return stored === undefined ? [] : [this.#table.shown(stored)];
    });
  }

  // deno-lint-ignore require-await
  async list(_call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]> {
    const now = this.#table.now();
    let page = pageOf(this.#table.circuits(), options, now);
    // What is noticed can leave the page, and others follow.
    while (page.some((stored) => isUnlogged(stored, stored.loggedState, now))) {
      for (const stored of page) this.#table.noticed(stored, now);
      page = pageOf(this.#table.circuits(), options, now);
    }
    return page.map((stored) => {
      const last = this.#table.log?.lastShown(stored.key);
      const circuit = { ...this.#table.shown(stored), refusedCount: stored.refusedCount };
      if (last === undefined) return circuit;
      const { cause, actor, reason } = last;
      return { ...circuit, lastCause: cause, lastActor: actor, lastReason: reason };
    });
  }

  // deno-lint-ignore require-await
  async prune(_call: Call, { idleMs, limit }: PruneRequest): Promise<number> {
    const now = this.#table.now();
    const idle = Array.from(this.#table.circuits()).filter((stored) =>
      isRemovable(stored, now, idleMs)
    ).slice(0, limit);
    for (const stored of idle) {
      this.#table.remove(stored);
    }
    return idle.length;
  }

  /** Returns a page of the log, as it is at the moment of the call. */
  // deno-lint-ignore require-await
  async log(_call: Call, request: LogRequest): Promise<LogPage> {
    this.#table.noticeEnded();
    const { log } = this.#table;
    if (log === undefined) {
      throw new TypeError("Cannot read changes: these circuits have no log");
    }
    return log.read(request);
  }

  /** Forgets all circuits. */
  clear(): void {
    this.#table.clear();
  }
}
