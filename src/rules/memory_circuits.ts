import { ABSENT_CIRCUIT, type Circuit, type Round } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";
import { compareKeys } from "../key.ts";
import type { Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { Admin, Answer, Calls, ClaimAnswer, PruneRequest, Source } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitState } from "../types.ts";
import { addCount, countFailures, rememberFailures } from "./counting.ts";
import { effectiveState, forcedAt } from "./forcing.ts";
import { isCurrentRound, isZeroed, judgeMove } from "./moving.ts";
import { isRoundDue, leaseAfterMove, vacantProbes } from "./probing.ts";
import { isTripDue } from "./tripping.ts";

interface StoredCircuit extends Omit<Circuit, "readAt"> {
  /** When anything was last recorded, moved or forced. */
  updatedAt: number;
  recentFailures: number[];
}

/** What a map of circuits begins with, and how many it holds. */
export interface MemoryBounds {
  /** Circuits that another store knows. A circuit is taken over when it is first used. */
  known: ReadonlyMap<string, Circuit>;
  /** How many circuits are kept; the one whose first use is longest ago goes first. */
  capacity: number;
}

/** Circuits in a map, by the same rules as the statements on the table. */
export class MemoryCircuits implements Calls, Admin {
  readonly #stored = new Map<string, StoredCircuit>();
  readonly #rules: CircuitRules;
  readonly #now: () => number;
  readonly #source: Source;
  readonly #bounds: MemoryBounds | undefined;

  constructor(rules: CircuitRules, now: () => number, source: Source, bounds?: MemoryBounds) {
    this.#rules = rules;
    this.#bounds = bounds;
    this.#source = source;
    this.#now = () => Math.floor(now());
  }

  // deno-lint-ignore require-await
  async read(_call: Call, key: string): Promise<Answer> {
    return this.#answer(this.#find(key));
  }

  // deno-lint-ignore require-await
  async recordSuccess(_call: Call, key: string): Promise<Answer<Circuit>> {
    const stored = this.#findOrAdd(key);
    stored.successCount = addCount(stored.successCount, 1);
    stored.updatedAt = this.#now();
    return this.#answerFound(stored);
  }

  // deno-lint-ignore require-await
  async recordFailure(_call: Call, key: string): Promise<Answer<Circuit>> {
    const stored = this.#findOrAdd(key);
    const now = this.#now();
    stored.failureCount = addCount(stored.failureCount, 1);
    stored.recentFailures = rememberFailures(stored.recentFailures, 1, now, this.#rules);
    stored.lastFailureTime = stored.updatedAt = now;
    return this.#answerFound(stored);
  }

  // deno-lint-ignore require-await
  async transition(_call: Call, key: string, to: CircuitState): Promise<Answer> {
    const found = this.#find(key);
    if (to === "closed" && found === undefined) return this.#answer(undefined);
    const stored = found ?? this.#add(key);
    const now = this.#now();
    const move = judgeMove(stored, to, now, this.#rules);
    if (move.moves) this.#move(stored, to, now);
    else if (move.zeroesFailures || move.zeroesSuccesses) zeroCounters(stored, to, now);
    return this.#answer(stored);
  }

  // deno-lint-ignore require-await
  async claim(_call: Call, key: string): Promise<ClaimAnswer> {
    const stored = this.#find(key);
    if (stored === undefined) return { ...this.#answer(stored), isAdmitted: false };
    const now = this.#now();
    const probing = this.#rules.probing!;
    const isAdmitted = forcedAt(stored.forced, now) === undefined &&
      vacantProbes(stored, now, probing) > 0;
    if (isAdmitted) {
      if (isRoundDue(stored, now, probing)) this.#move(stored, "half-open", now);
      else stored.probeCount++;
      stored.probeExpiresAt = now + probing.probeTimeoutMs;
      stored.updatedAt = now;
    }
    return { ...this.#answer(stored), isAdmitted };
  }

  // deno-lint-ignore require-await
  async settle(_call: Call, key: string, to: CircuitState, round: Round): Promise<Answer> {
    const stored = this.#find(key);
    if (stored === undefined) return this.#answer(undefined);
    const now = this.#now();
    const applies = isCurrentRound({ ...stored, readAt: now }, round) ||
      to === "open" && isTripDue(stored, now, this.#rules);
    if (applies && forcedAt(stored.forced, now) === undefined) this.#move(stored, to, now);
    return this.#answer(stored);
  }

  // deno-lint-ignore require-await
  async force(_call: Call, key: string, force: Force | undefined): Promise<Answer> {
    const found = this.#find(key);
    if (force === undefined && found === undefined) return this.#answer(undefined);
    const stored = found ?? this.#add(key);
    const now = this.#now();
    if (force !== undefined || forcedAt(stored.forced, now) !== undefined) {
      stored.version++;
      stored.updatedAt = now;
    }
    stored.forced = force && {
      state: force.state,
      at: now,
      until: force.forMs === undefined ? undefined : now + force.forMs,
      reason: force.reason,
    };
    return this.#answer(stored);
  }

  // deno-lint-ignore require-await
  async reset(_call: Call, key: string): Promise<void> {
    this.#stored.delete(key);
  }

  // deno-lint-ignore require-await
  async readMany(_call: Call, keys: readonly string[]): Promise<Circuit[]> {
    return keys.flatMap((key) => {
      const stored = this.#find(key);
      return stored === undefined ? [] : [this.#shown(stored)];
    });
  }

  // deno-lint-ignore require-await
  async list(_call: Call, { state, after, limit }: ResolvedListOptions): Promise<Circuit[]> {
    return Array.from(this.#stored.values(), (stored) => this.#shown(stored))
      .filter((each) => state === undefined || effectiveState(each, each.readAt) === state)
      .filter((each) => after === undefined || compareKeys(each.key, after) > 0)
      .sort((a, b) => compareKeys(a.key, b.key))
      .slice(0, limit);
  }

  // deno-lint-ignore require-await
  async prune(_call: Call, { idleMs, limit }: PruneRequest): Promise<number> {
    const now = this.#now();
    const idle = Array.from(this.#stored.values()).filter((stored) =>
      stored.state === "closed" && forcedAt(stored.forced, now) === undefined &&
      stored.updatedAt < now - idleMs
    ).slice(0, limit);
    for (const { key } of idle) this.#stored.delete(key);
    return idle.length;
  }

  /** Forgets all circuits. */
  clear(): void {
    this.#stored.clear();
  }

  #find(key: string): StoredCircuit | undefined {
    const stored = this.#stored.get(key);
    if (stored !== undefined) return stored;
    const known = this.#bounds?.known.get(key);
    if (known === undefined) return undefined;
    // Only the count of a window is known, not its times: each counts as if at the last failure.
    const failures = this.#rules.failureWindowMs === undefined ? 0 : known.failureCount;
    return this.#keep({
      ...known,
      recentFailures: Array.from({ length: failures }, () => known.lastFailureTime),
      updatedAt: this.#now(),
    });
  }

  #findOrAdd(key: string): StoredCircuit {
    return this.#find(key) ?? this.#add(key);
  }

  #add(key: string): StoredCircuit {
    return this.#keep({ ...ABSENT_CIRCUIT, key, recentFailures: [], updatedAt: 0 });
  }

  #keep(stored: StoredCircuit): StoredCircuit {
    keepLast(this.#stored, stored.key, stored, this.#bounds?.capacity ?? Infinity);
    return stored;
  }

  /** A change of state, or a new round of probes. */
  #move(stored: StoredCircuit, to: CircuitState, now: number): void {
    stored.state = to;
    stored.lastStateChange = now;
    stored.version++;
    zeroCounters(stored, to, now);
    Object.assign(stored, leaseAfterMove(to, now, this.#rules.probing));
  }

  #answer(stored: StoredCircuit | undefined): Answer {
    return stored === undefined
      ? { circuit: undefined, source: this.#source }
      : this.#answerFound(stored);
  }

  #answerFound(stored: StoredCircuit): Answer<Circuit> {
    return { circuit: this.#shown(stored), source: this.#source };
  }

  /** A copy, so that callers cannot change the stored circuit. */
  #shown(stored: StoredCircuit): Circuit {
    const readAt = this.#now();
    return { ...stored, failureCount: countFailures(stored, readAt, this.#rules), readAt };
  }
}

function zeroCounters(stored: StoredCircuit, to: CircuitState, now: number): void {
  stored.updatedAt = now;
  if (isZeroed("successes", to)) stored.successCount = 0;
  if (!isZeroed("failures", to)) return;
  stored.failureCount = 0;
  stored.recentFailures = [];
}
