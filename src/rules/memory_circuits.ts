import { ABSENT_CIRCUIT, type Circuit, type Round } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type {
  Admin,
  Answer,
  Calls,
  ClaimAnswer,
  ListedCircuit,
  LogCause,
  LogPage,
  LogRequest,
  PruneRequest,
  Source,
  Tail,
} from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitState } from "../types.ts";
import { addCount, countFailures, rememberFailures } from "./counting.ts";
import { effectiveState, forcedAt } from "./forcing.ts";
import { isUnlogged, unloggedCause } from "./logging.ts";
import { isCurrentRound, judgeMove, moveCause, openedAtAfter } from "./moving.ts";
import { isRoundDue, leaseAfterMove, vacantProbes } from "./probing.ts";
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
export class MemoryCircuits implements Calls, Admin, Pick<Tail, "log"> {
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

  // deno-lint-ignore require-await
  async read(_call: Call, key: string): Promise<Answer> {
    return this.#answer(this.#find(key, this.#now()));
  }

  // deno-lint-ignore require-await
  async recordSuccess(_call: Call, key: string): Promise<Answer<Circuit>> {
    const now = this.#now();
    const stored = this.#findOrAdd(key, now);
    stored.successCount = addCount(stored.successCount, 1);
    stored.updatedAt = now;
    return this.#answerFound(stored);
  }

  // deno-lint-ignore require-await
  async recordFailure(_call: Call, key: string): Promise<Answer<Circuit>> {
    const now = this.#now();
    const stored = this.#findOrAdd(key, now);
    stored.failureCount = addCount(stored.failureCount, 1);
    stored.recentFailures = rememberFailures(stored.recentFailures, 1, now, this.#rules);
    stored.lastFailureTime = stored.updatedAt = now;
    return this.#answerFound(stored);
  }

  // deno-lint-ignore require-await
  async transition(_call: Call, key: string, to: CircuitState): Promise<Answer> {
    const now = this.#now();
    const found = this.#find(key, now);
    if (to === "closed" && found === undefined) return this.#answer(undefined);
    const stored = found ?? this.#add(key);
    const move = judgeMove(stored, to, now, this.#rules);
    if (move.moves) {
      this.#move(stored, to, now, moveCause(stored.state, to));
    } else if (
      // A counter that is zero already does not fall.
      move.zeroesFailures && (stored.failureCount > 0 || stored.recentFailures.length > 0) ||
      move.zeroesSuccesses && stored.successCount > 0
    ) {
      this.#change(
        stored,
        now,
        "zeroed",
        undefined,
        (version) => zeroCounters(stored, to, version),
      );
    }
    return this.#answer(stored);
  }

  // deno-lint-ignore require-await
  async claim(_call: Call, key: string): Promise<ClaimAnswer> {
    const now = this.#now();
    const stored = this.#find(key, now);
    if (stored === undefined) return { ...this.#answer(stored), isAdmitted: false };
    const probing = this.#rules.probing!;
    const isAdmitted = forcedAt(stored.forced, now) === undefined &&
      vacantProbes(stored, now, probing) > 0;
    if (isAdmitted) {
      if (isRoundDue(stored, now, probing)) {
        this.#move(stored, "half-open", now, stored.state === "half-open" ? "round" : "probe");
      } else {
        stored.probeCount++;
      }
      dropEnded(stored, now);
      stored.probeExpiresAt = now + probing.probeTimeoutMs;
      stored.updatedAt = now;
    }
    return { ...this.#answer(stored), isAdmitted };
  }

  // deno-lint-ignore require-await
  async settle(_call: Call, key: string, to: CircuitState, round: Round): Promise<Answer> {
    const now = this.#now();
    const stored = this.#find(key, now);
    if (stored === undefined) return this.#answer(undefined);
    const applies = isCurrentRound({ ...stored, readAt: now }, round) ||
      to === "open" && isTripDue(stored, now, this.#rules);
    if (applies && forcedAt(stored.forced, now) === undefined) {
      this.#move(stored, to, now, moveCause(stored.state, to));
    }
    return this.#answer(stored);
  }

  // deno-lint-ignore require-await
  async force(_call: Call, key: string, force: Force): Promise<Answer> {
    const { state, forMs, reason } = force;
    const now = this.#now();
    const found = this.#find(key, now);
    if (state === undefined && found === undefined) return this.#answer(undefined);
    const stored = found ?? this.#add(key);
    if (state === undefined && forcedAt(stored.forced, now) === undefined) {
      dropEnded(stored, now);
      return this.#answer(stored);
    }
    const until = forMs === undefined ? undefined : now + forMs;
    this.#change(stored, now, state === undefined ? "release" : "force", force, () => {
      stored.forced = state && { state, at: now, until, reason, by: this.#actorOf(force) };
    });
    if (until !== undefined) this.#ending.add(stored);
    return this.#answer(stored);
  }

  // deno-lint-ignore require-await
  async reset(_call: Call, key: string, act: Act): Promise<Answer> {
    const now = this.#now();
    const stored = this.#find(key, now);
    if (stored === undefined || isBlank(stored)) return this.#answer(stored);
    const isShown = effectiveState(stored, now) !== "closed" ||
      forcedAt(stored.forced, now) !== undefined;
    this.#change(stored, now, isShown ? "reset" : "zeroed", act, (zeroedVersion) => {
      Object.assign(stored, ABSENT_CIRCUIT, { zeroedVersion, recentFailures: [] });
    });
    return this.#answer(stored);
  }

  // deno-lint-ignore require-await
  async readMany(_call: Call, keys: readonly string[]): Promise<Circuit[]> {
    return keys.flatMap((key) => {
      const stored = this.#find(key, this.#now());
      return stored === undefined ? [] : [this.#shown(stored)];
    });
  }

  // deno-lint-ignore require-await
  async list(_call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]> {
    const now = this.#now();
    let page = pageOf(this.#stored.values(), options, now);
    // What is noticed can leave the page, and others follow.
    while (page.some((stored) => isUnlogged(stored, stored.loggedState, now))) {
      for (const stored of page) this.#noticed(stored, now);
      page = pageOf(this.#stored.values(), options, now);
    }
    return page.map((stored) => {
      const last = this.#logged?.log.lastShown(stored.key);
      const circuit = this.#shown(stored);
      if (last === undefined) return circuit;
      return { ...circuit, lastCause: last.cause, lastActor: last.actor };
    });
  }

  // deno-lint-ignore require-await
  async prune(_call: Call, { idleMs, limit }: PruneRequest): Promise<number> {
    const now = this.#now();
    const idle = Array.from(this.#stored.values()).filter((stored) =>
      isRemovable(stored, now, idleMs)
    ).slice(0, limit);
    for (const stored of idle) {
      this.#stored.delete(stored.key);
      this.#ending.delete(stored);
    }
    return idle.length;
  }

  /** Returns a page of the log, as it is at the moment of the call. */
  // deno-lint-ignore require-await
  async log(_call: Call, request: LogRequest): Promise<LogPage> {
    this.#noticeEnded();
    const logged = this.#logged;
    if (logged === undefined) {
      throw new TypeError("Cannot read changes: these circuits have no log");
    }
    return logged.log.read(request);
  }

  /** Forgets all circuits. */
  clear(): void {
    this.#stored.clear();
    this.#ending.clear();
  }

  /** A circuit. All calls but records notice that its forced state has ended. */
  #find(key: string, now: number): StoredCircuit | undefined {
    const found = this.#lookUp(key, now);
    return found === undefined ? undefined : this.#noticed(found, now);
  }

  #lookUp(key: string, now: number): StoredCircuit | undefined {
    const stored = this.#stored.get(key);
    if (stored !== undefined) return stored;
    const known = this.#bounds?.known.get(key);
    if (known === undefined) return undefined;
    // Only the count of a window is known, not its times: each counts as if at the last failure.
    const failures = this.#rules.failureWindowMs === undefined ? 0 : known.failureCount;
    return this.#keep({
      ...known,
      loggedState: effectiveState(known, now),
      recentFailures: Array.from({ length: failures }, () => known.lastFailureTime),
      updatedAt: now,
    });
  }

  #findOrAdd(key: string, now: number): StoredCircuit {
    return this.#lookUp(key, now) ?? this.#add(key);
  }

  #add(key: string): StoredCircuit {
    return this.#keep({
      ...ABSENT_CIRCUIT,
      key,
      loggedState: "closed",
      recentFailures: [],
      updatedAt: 0,
    });
  }

  #keep(stored: StoredCircuit): StoredCircuit {
    keepLast(this.#stored, stored.key, stored, this.#bounds?.capacity ?? Infinity);
    return stored;
  }

  /** A change of state, or a new round of probes. */
  #move(stored: StoredCircuit, to: CircuitState, now: number, cause: LogCause): void {
    this.#change(stored, now, cause, undefined, (version) => {
      stored.openedAt = openedAtAfter(stored, to, now);
      stored.state = to;
      stored.lastStateChange = now;
      zeroCounters(stored, to, version);
      Object.assign(stored, leaseAfterMove(to, now, this.#rules.probing));
    });
  }

  /** Changes a circuit: gives it a version and logs it. The counts in the log are those before. */
  #change(
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
    this.#logged?.log.append({
      key,
      version,
      at: now,
      from,
      to,
      cause,
      actor: cause === "expiry" || cause === "external" ? "" : this.#actorOf(act),
      role: "",
      reason: act?.reason,
      failureCount,
      successCount,
    });
  }

  #actorOf(act: Act | undefined): string {
    return act?.actor ?? this.#logged?.actor ?? "";
  }

  /** Logs that a forced state has ended by its time, where the log does not know it yet. */
  #noticed(stored: StoredCircuit, now: number): StoredCircuit {
    if (!isUnlogged(stored, stored.loggedState, now)) return stored;
    const cause = unloggedCause(stored, stored.loggedState, now);
    this.#change(stored, now, cause, undefined, () => {});
    return stored;
  }

  #noticeEnded(): void {
    const now = this.#now();
    for (const stored of this.#ending) {
      this.#noticed(stored, now);
      const { forced } = stored;
      if (forced?.until === undefined || forced.until <= now) this.#ending.delete(stored);
    }
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
