import type { Circuit, Round } from "../circuit.ts";
import { CircuitBreakerStoreError } from "../errors.ts";
import type { Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { Admin, Answer, Calls, ClaimAnswer, Deferred, PruneRequest } from "../ports.ts";
import { startBackgroundTimer } from "../time/background_timer.ts";
import type { Call } from "../time/call.ts";
import type { Deadlines } from "../time/deadlines.ts";
import type { CircuitState } from "../types.ts";
import type { Asked, CachedCircuit } from "./cached_circuit.ts";
import { CacheEntries } from "./entries.ts";
import { type CircuitCacheOptions, isRefused, type Origin } from "./origin.ts";

/** After this many refreshes without a call for it, a circuit is dropped. */
const IDLE_REFRESHES = 3;

/** The share of the bound between two refreshes, where the database answers in the rest of it. */
const REFRESH_AFTER = 0.9;

/** The longest pause between two attempts of `end` to count successes of circuits that are locked. */
const LAST_PAUSE_MS = 40;

/**
 * Caches the circuits that one instance uses, so that a call on a busy circuit does not wait. A call
 * gets no answer that is older than the bound: it waits for the origin instead. The next refresh
 * counts successes of a closed circuit. Every other change is in the origin before its call resolves.
 *
 * {@linkcode CachedCircuit} lists the states of one circuit. States of the cache: idle; scheduled;
 * refreshing; ended.
 * - A call learns a circuit or defers a success: idle -> scheduled.
 * - The interval is over, or `missed`: scheduled -> refreshing. One statement reads all circuits and
 *   counts all successes that wait.
 * - `changed`: another statement reads the circuit at once, or when the refresh has ended.
 * - The statement ends: refreshing -> scheduled, or idle where the cache is empty.
 * - `prune`, `reset`: they wait until successes of their circuits are counted or dropped.
 * - `end`: to ended. It counts the successes that wait. From then on the origin counts each at once.
 */
export class CircuitCache implements Calls, Admin {
  readonly #origin: Origin;
  readonly #maxStalenessMs: number;
  readonly #deadlines: Deadlines;
  readonly #clock: () => number;
  readonly #entries: CacheEntries;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #refreshing: Promise<unknown> | undefined;
  /** Circuits that other instances have moved, and that this cache has not read since. */
  readonly #urgent = new Set<string>();
  #isRefreshingUrgent = false;
  /** How long a refresh takes: a running average that this class measures. */
  #roundTripMs = 0;
  #isEnded = false;

  constructor(
    origin: Origin,
    { maxStalenessMs, deadlines, clock, now, onKnown }: CircuitCacheOptions,
  ) {
    this.#origin = origin;
    this.#maxStalenessMs = maxStalenessMs;
    this.#deadlines = deadlines;
    this.#clock = clock;
    this.#entries = new CacheEntries({ clock, now }, onKnown);
  }

  read(call: Call, key: string): Promise<Answer> {
    const now = this.#clock();
    const cached = this.#fresh(key, now);
    return cached === undefined
      ? this.#ask(call, key)
      : Promise.resolve({ circuit: cached.shown(now), source: "cache" });
  }

  recordSuccess(call: Call, key: string): Promise<Answer<Circuit>> {
    const now = this.#clock();
    const cached = this.#fresh(key, now);
    if (cached === undefined || this.#isEnded || !cached.defer()) {
      const record = () => this.#origin.recordSuccess(call, key);
      return this.#written(key, this.#apart(call, "record success", key, record));
    }
    this.#schedule();
    return Promise.resolve({ circuit: cached.shown(now)!, source: "cache" });
  }

  recordFailure(call: Call, key: string): Promise<Answer<Circuit>> {
    return this.#written(key, this.#origin.recordFailure(call, key));
  }

  transition(call: Call, key: string, to: CircuitState): Promise<Answer> {
    const move = () => this.#origin.transition(call, key, to);
    return this.#written(
      key,
      to === "closed" ? this.#zero(call, "move circuit", key, move) : move(),
    );
  }

  /**
   * Zeroes the counters of a circuit. It also drops the successes that this instance acknowledged before
   * and let wait. They stay where the call fails, or is answered locally.
   */
  #zero<Result extends Answer | void>(
    call: Call,
    action: string,
    key: string,
    run: () => Promise<Result>,
  ): Promise<Result> {
    return this.#apart(call, action, key, async () => {
      const result = await run();
      if (result?.source !== "local") this.#entries.get(key)?.dropWaiting();
      return result;
    });
  }

  /**
   * Runs a call while no statement counts waiting successes of the circuit: it begins after one that is
   * in flight, and none takes them until it has ended. Otherwise the two could take effect in one
   * order and be answered in the other.
   */
  async #apart<Result>(
    call: Call,
    action: string,
    key: string,
    run: () => Promise<Result>,
  ): Promise<Result> {
    const entry = this.#entries.get(key);
    const release = entry?.hold();
    try {
      if (entry?.isBeingCounted) {
        await this.#deadlines.race(call, action, Promise.resolve(this.#refreshing));
      }
      return await run();
    } finally {
      release?.();
    }
  }

  settle(call: Call, key: string, to: CircuitState, round: Round): Promise<Answer> {
    return this.#written(key, this.#origin.settle(call, key, to, round));
  }

  force(call: Call, key: string, force: Force | undefined): Promise<Answer> {
    return this.#written(key, this.#origin.force(call, key, force));
  }

  async claim(call: Call, key: string): Promise<ClaimAnswer> {
    const asked = this.#entries.ask();
    const answer = await this.#origin.claim(call, key);
    this.#learnWritten(key, answer, asked);
    return answer;
  }

  async reset(call: Call, key: string): Promise<void> {
    await this.#zero(call, "reset circuit", key, () => this.#origin.reset(call, key));
    this.#entries.forget(key);
  }

  async readMany(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    return this.#including(await this.#origin.readMany(call, keys));
  }

  async list(call: Call, options: ResolvedListOptions): Promise<Circuit[]> {
    return this.#including(await this.#origin.list(call, options));
  }

  prune(call: Call, request: PruneRequest): Promise<number> {
    const prune = () => this.#prune(call, request);
    if (this.#origin.isOut || !this.#refreshing && !this.#entries.isPending) return prune();
    return this.#deadlines.race(call, "prune circuits", this.#countWaiting(call).then(prune));
  }

  async #prune(call: Call, request: PruneRequest): Promise<number> {
    const removed = await this.#origin.prune(call, request);
    if (removed > 0) this.#entries.forgetAll();
    return removed;
  }

  /** Another instance has moved a circuit to a version: reads the circuit at once. */
  changed(key: string, version: number): void {
    const cached = this.#entries.get(key);
    // Version 0 decides nothing: a circuit without a row has it, and so has one that never moved.
    if (cached === undefined || version > 0 && cached.version === version) return;
    this.#urgent.add(key);
    void this.#refreshUrgent();
  }

  /** Changes of other instances may have gone unnoticed: reads all circuits at once. */
  missed(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#begin();
  }

  /** Counts the successes that wait. Defers and refreshes nothing from then on. */
  end(call: Call): Promise<void> {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#deadlines.race(call, "close store", this.#countLast(call));
  }

  async #countLast(call: Call): Promise<void> {
    while (performance.now() < call.dueAt) {
      const error = await this.#countWaiting(call);
      if (error !== undefined) throw error;
      if (!this.#entries.isPending) return;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * LAST_PAUSE_MS));
    }
    throw new CircuitBreakerStoreError(
      "Cannot close store: other instances keep the circuits of the last successes locked",
    );
  }

  /** Counts the successes that wait, without waiting for the interval. Returns the error, if any. */
  async #countWaiting(call: Call): Promise<unknown> {
    while (this.#refreshing !== undefined) await this.#refreshing;
    const deferred = this.#entries.takeDeferred();
    return deferred.length > 0 ? await this.#follow(this.#fetch(call, [], deferred)) : undefined;
  }

  /** Circuits as the database has them, with the successes that have yet to be counted. */
  #including(circuits: Circuit[]): Circuit[] {
    return circuits.map((circuit) => this.#entries.get(circuit.key)?.including(circuit) ?? circuit);
  }

  #fresh(key: string, now: number): CachedCircuit | undefined {
    const cached = this.#entries.get(key);
    return cached !== undefined && cached.isFresh(this.#maxStalenessMs, now) ? cached : undefined;
  }

  async #ask(call: Call, key: string): Promise<Answer> {
    // The answer of a read does not show whether it includes successes that are being counted.
    if (this.#entries.get(key)?.isBeingCounted) {
      const refreshed = Promise.resolve(this.#refreshing);
      await this.#deadlines.race(call, "read circuit", refreshed).catch(() => {});
      const now = this.#clock();
      const cached = this.#fresh(key, now);
      if (cached !== undefined) return { circuit: cached.shown(now), source: "cache" };
    }
    const wasPending = this.#entries.get(key)?.isPending;
    const asked = this.#entries.ask();
    const answer = await this.#origin.read(call, key);
    if (this.#isLocal(key, answer)) return answer;
    const cached = this.#entries.learnRead(key, answer.circuit, asked);
    this.#schedule();
    if (cached !== undefined) return { ...answer, circuit: cached.shown(this.#clock()) };
    // The same holds for successes that a statement began to count since.
    return wasPending ? this.read(call, key) : answer;
  }

  /** Learns the circuit from the answer to a write. */
  async #written<Found extends Circuit | undefined>(
    key: string,
    answered: Promise<Answer<Found>>,
  ): Promise<Answer<Found>> {
    const asked = this.#entries.ask();
    const answer = await answered;
    const cached = this.#learnWritten(key, answer, asked);
    return answer.circuit && cached
      ? { ...answer, circuit: cached.including(answer.circuit) as Found }
      : answer;
  }

  #learnWritten(key: string, answer: Answer, asked: Asked): CachedCircuit | undefined {
    if (this.#isLocal(key, answer)) return undefined;
    const cached = this.#entries.learnWritten(key, answer.circuit, asked);
    this.#schedule();
    return cached;
  }

  /** Whether an answer is not the database's. The circuit is unknown then. */
  #isLocal(key: string, { source }: Answer): boolean {
    if (source === "database" && !this.#origin.isOut) return false;
    this.#entries.forget(key);
    return true;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#refreshing !== undefined || this.#isEnded) return;
    this.#timer = startBackgroundTimer(() => this.#begin(), this.#intervalMs);
  }

  /** Leaves enough of the bound for two round trips. */
  get #intervalMs(): number {
    const bound = this.#maxStalenessMs;
    return Math.max(bound / 2, Math.min(bound * REFRESH_AFTER, bound - 2 * this.#roundTripMs - 5));
  }

  #begin(): void {
    this.#timer = undefined;
    if (this.#refreshing === undefined) void this.#follow(this.#refreshAll());
  }

  /** Notes that a refresh runs, and schedules the next one when it has ended. */
  #follow(refresh: Promise<unknown>): Promise<unknown> {
    this.#refreshing = refresh.finally(() => {
      this.#refreshing = undefined;
      if (this.#entries.size > 0) this.#schedule();
      if (this.#urgent.size > 0) void this.#refreshUrgent();
    });
    return this.#refreshing;
  }

  async #refreshAll(): Promise<void> {
    this.#entries.dropIdle(IDLE_REFRESHES);
    // During an outage the successes go on waiting.
    if (this.#origin.isOut) return;
    const deferred = this.#entries.takeDeferred();
    const keys = this.#entries.keys().filter((key) => !this.#entries.get(key)!.isBeingCounted);
    if (keys.length + deferred.length > 0) {
      await this.#fetch(this.#deadlines.begin(), keys, deferred);
    }
  }

  /** Reads the circuits that were announced. One statement runs at a time. */
  async #refreshUrgent(): Promise<void> {
    if (this.#isRefreshingUrgent) return;
    this.#isRefreshingUrgent = true;
    await Promise.resolve();
    while (this.#urgent.size > 0 && this.#refreshing === undefined) {
      const keys = [...this.#urgent].filter((key) => this.#entries.get(key) !== undefined);
      this.#urgent.clear();
      if (keys.length > 0 && !this.#origin.isOut) {
        await this.#fetch(this.#deadlines.begin(), keys, []);
      }
    }
    this.#isRefreshingUrgent = false;
  }

  /** Sends one statement. Returns its error, if any. */
  async #fetch(call: Call, keys: string[], deferred: Deferred[]): Promise<unknown> {
    const asked = this.#entries.ask();
    const from = performance.now();
    try {
      const circuits = await this.#origin.refresh(call, keys, deferred);
      // An average, so that a single slow refresh does not double the rate of refreshes.
      this.#roundTripMs += (performance.now() - from - this.#roundTripMs) / 4;
      const found = new Map(circuits.map((circuit) => [circuit.key, circuit]));
      for (const { key } of deferred) {
        const circuit = found.get(key);
        if (circuit?.isCounted) {
          this.#entries.confirmDeferred(key, circuit, asked);
        } else {
          // Another instance holds the lock: the successes wait, and the circuit is read at once.
          this.#entries.returnDeferred(key, true);
          this.#urgent.add(key);
        }
      }
      for (const key of keys) this.#entries.learnRead(key, found.get(key), asked);
    } catch (error) {
      for (const { key } of deferred) this.#entries.returnDeferred(key, isRefused(error));
      return error;
    }
  }
}
