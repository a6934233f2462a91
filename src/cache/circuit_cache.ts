import { startBackgroundTimer } from "../time/background.ts";
import type {
  Circuit,
  Circuits,
  ClaimResult,
  Deferred,
  Origin,
  Refreshed,
  Round,
} from "../rules/circuit.ts";
import type { Force } from "../options/force.ts";
import { withDeadline } from "../time/deadline.ts";
import { CircuitBreakerStoreError, isCircuitBreakerStoreError } from "../errors.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitState } from "../types.ts";
import type { Asked, CachedCircuit, Clocks } from "./cached_circuit.ts";
import { CacheEntries } from "./entries.ts";

/** Circuits that nobody asked for in so many refreshes are not refreshed any more. */
const IDLE_REFRESHES = 3;

/** How much of the bound passes between two refreshes, where the database answers in the rest. */
const REFRESH_AFTER = 0.9;

/** The last successes are tried to be counted so often, where others are at their circuits. */
const LAST_PAUSE_MS = 40;

/** When a call was made, and how many own answers the origin had given by then. */
type Asking = Asked & Pick<Origin, "ownAnswers">;

/** What a replica needs. */
export interface CircuitCacheOptions extends Clocks {
  maxStalenessMs: number;
  /** How long a call may take that waits for a refresh, and the last successes, in milliseconds. */
  timeoutMs: number;
  /** ChangeTail of each circuit that comes into use, and that goes out of it. */
  onKnown?: (key: string, isKnown: boolean) => void;
}

/**
 * What one instance knows of the circuits it uses, so that a busy circuit is never waited for.
 * Nothing older than the bound is answered: the origin is asked then, and waited for. Successes of a
 * closed circuit are counted here first and travel with the next refresh; everything else that
 * changes a circuit goes to the origin before it resolves.
 */
export class CircuitCache implements Circuits {
  readonly #origin: Origin;
  readonly #maxStalenessMs: number;
  readonly #timeoutMs: number;
  readonly #clock: () => number;
  readonly #known: CacheEntries;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #refreshing: Promise<unknown> | undefined;
  readonly #urgent = new Set<string>();
  #isUrging = false;
  #roundTripMs = 0;
  #isEnded = false;

  constructor(
    origin: Origin,
    { maxStalenessMs, timeoutMs, clock, now, onKnown }: CircuitCacheOptions,
  ) {
    this.#origin = origin;
    this.#maxStalenessMs = maxStalenessMs;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#known = new CacheEntries({ clock, now }, onKnown);
  }

  read(key: string, begunAt?: number): Promise<Circuit | undefined> {
    const now = this.#clock();
    const known = this.#fresh(key, now);
    return known === undefined ? this.#ask(key, begunAt) : Promise.resolve(known.shown(now));
  }

  recordSuccess(key: string): Promise<Circuit> {
    const now = this.#clock();
    const known = this.#fresh(key, now);
    if (known === undefined || this.#isEnded || !known.defer()) {
      return this.#written(key, this.#origin.recordSuccess(key));
    }
    this.#schedule();
    return Promise.resolve(known.shown(now)!);
  }

  recordFailure(key: string): Promise<Circuit> {
    return this.#written(key, this.#origin.recordFailure(key));
  }

  transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return this.#written(key, this.#origin.transition(key, to));
  }

  settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    return this.#written(key, this.#origin.settle(key, to, round));
  }

  force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    return this.#written(key, this.#origin.force(key, force));
  }

  async claim(key: string, begunAt: number): Promise<ClaimResult | undefined> {
    const asked = this.#asking();
    const admission = await this.#origin.claim(key, begunAt);
    this.#learnWritten(key, admission?.circuit, asked);
    return admission;
  }

  reset(key: string): Promise<void> {
    // A success that was acknowledged before must not come after it.
    this.#known.get(key)?.dropWaiting();
    const reset = () => this.#reset(key);
    if (!this.#known.get(key)?.isFlying) return reset();
    return withDeadline(
      this.#timeoutMs,
      "reset circuit",
      Promise.resolve(this.#refreshing).then(reset),
    );
  }

  async #reset(key: string): Promise<void> {
    await this.#origin.reset(key);
    this.#known.get(key)?.dropWaiting();
    this.#known.forget(key);
  }

  async readMany(keys: readonly string[]): Promise<Circuit[]> {
    return this.#including(await this.#origin.readMany(keys));
  }

  async list(options: ResolvedListOptions): Promise<Circuit[]> {
    return this.#including(await this.#origin.list(options));
  }

  prune(idleMs: number, limit: number, isElected: boolean): Promise<number> {
    const prune = () => this.#prune(idleMs, limit, isElected);
    if (this.#origin.isOut || !this.#refreshing && !this.#known.isPending) return prune();
    return withDeadline(this.#timeoutMs, "prune circuits", this.#land().then(prune));
  }

  async #prune(idleMs: number, limit: number, isElected: boolean): Promise<number> {
    const removed = await this.#origin.prune(idleMs, limit, isElected);
    if (removed > 0) this.#known.forgetAll();
    return removed;
  }

  refresh(keys: readonly string[], deferred: readonly Deferred[]): Promise<Refreshed[]> {
    return this.#origin.refresh(keys, deferred);
  }

  check(): Promise<void> {
    return this.#origin.check();
  }

  /** Another instance has brought a circuit to a version: asks for it at once. */
  changed(key: string, version: number): void {
    const known = this.#known.get(key);
    // A version of 0 says nothing: it is what a circuit that is gone has, and one that never moved.
    if (known === undefined || version > 0 && known.version === version) return;
    this.#urgent.add(key);
    void this.#refreshUrgent();
  }

  /** Changes of other instances may have gone unnoticed: asks for everything at once. */
  missed(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#begin();
  }

  /** Counts what was deferred, and goes on without deferring and refreshing. */
  async end(): Promise<void> {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const dueAt = performance.now() + this.#timeoutMs;
    while (performance.now() < dueAt) {
      const error = await this.#land();
      if (error !== undefined) throw error;
      if (!this.#known.isPending) return;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * LAST_PAUSE_MS));
    }
    throw new CircuitBreakerStoreError(
      "Cannot count the last successes: others do not let go of their circuits",
    );
  }

  /** Counts what waits to be counted, without waiting for the next refresh. */
  async #land(): Promise<unknown> {
    while (this.#refreshing !== undefined) await this.#refreshing;
    const deferred = this.#known.takeDeferred();
    return deferred.length > 0 ? await this.#follow(this.#fetch([], deferred)) : undefined;
  }

  /** Circuits as the database has them, with what has yet to be counted. */
  #including(circuits: Circuit[]): Circuit[] {
    return circuits.map((circuit) => this.#known.get(circuit.key)?.including(circuit) ?? circuit);
  }

  #fresh(key: string, now: number): CachedCircuit | undefined {
    const known = this.#known.get(key);
    return known !== undefined && known.isFresh(this.#maxStalenessMs, now) ? known : undefined;
  }

  async #ask(key: string, begunAt?: number): Promise<Circuit | undefined> {
    const askedAt = begunAt ?? performance.now();
    // Whether what is on its way is in the answer already, nobody could tell.
    if (this.#known.get(key)?.isFlying) {
      begunAt = askedAt;
      const landing = Promise.resolve(this.#refreshing);
      await withDeadline(this.#timeoutMs, "read circuit", landing, begunAt).catch(() => {});
      const now = this.#clock();
      const known = this.#fresh(key, now);
      if (known !== undefined) return known.shown(now);
    }
    const wasPending = this.#known.get(key)?.isPending;
    const asked = this.#asking();
    const circuit = await this.#origin.read(key, begunAt);
    if (this.#isOwn(key, asked)) return circuit;
    const known = this.#known.learnRead(key, circuit, asked);
    this.#schedule();
    if (known !== undefined) return known.shown(this.#clock());
    // The same holds for what has left, and perhaps arrived, since.
    return wasPending ? this.read(key, askedAt) : circuit;
  }

  /** A write's answer is what this instance knows from then on. */
  async #written<Answer extends Circuit | undefined>(
    key: string,
    answer: Promise<Answer>,
  ): Promise<Answer> {
    const asked = this.#asking();
    const circuit = await answer;
    const known = this.#learnWritten(key, circuit, asked);
    return circuit && known ? known.including(circuit) as Answer : circuit;
  }

  #learnWritten(
    key: string,
    circuit: Circuit | undefined,
    asked: Asking,
  ): CachedCircuit | undefined {
    if (this.#isOwn(key, asked)) return undefined;
    const known = this.#known.learnWritten(key, circuit, asked);
    this.#schedule();
    return known;
  }

  #asking(): Asking {
    return { ...this.#known.ask(), ownAnswers: this.#origin.ownAnswers };
  }

  /** Whether the origin may have answered by itself since: that is not the database's, nor known. */
  #isOwn(key: string, { ownAnswers }: Asking): boolean {
    if (!this.#origin.isOut && this.#origin.ownAnswers === ownAnswers) return false;
    this.#known.forget(key);
    return true;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#refreshing !== undefined || this.#isEnded) return;
    this.#timer = startBackgroundTimer(() => this.#begin(), this.#intervalMs);
  }

  /** What is left of the bound is for the way there and back. */
  get #intervalMs(): number {
    const bound = this.#maxStalenessMs;
    return Math.max(bound / 2, Math.min(bound * REFRESH_AFTER, bound - 2 * this.#roundTripMs - 5));
  }

  #begin(): void {
    this.#timer = undefined;
    if (this.#refreshing === undefined) void this.#follow(this.#refreshAll());
  }

  /** One refresh at a time; the next one is due when it has ended. */
  #follow(refresh: Promise<unknown>): Promise<unknown> {
    this.#refreshing = refresh.finally(() => {
      this.#refreshing = undefined;
      if (this.#known.size > 0) this.#schedule();
      if (this.#urgent.size > 0) void this.#refreshUrgent();
    });
    return this.#refreshing;
  }

  async #refreshAll(): Promise<void> {
    this.#known.dropIdle(IDLE_REFRESHES);
    // What waits to be counted goes on waiting.
    if (this.#origin.isOut) return;
    const deferred = this.#known.takeDeferred();
    const keys = this.#known.keys().filter((key) => !this.#known.get(key)!.isFlying);
    if (keys.length + deferred.length > 0) await this.#fetch(keys, deferred);
  }

  /** One statement at a time; what is announced meanwhile goes with the next. */
  async #refreshUrgent(): Promise<void> {
    if (this.#isUrging) return;
    this.#isUrging = true;
    await Promise.resolve();
    while (this.#urgent.size > 0 && this.#refreshing === undefined) {
      const keys = [...this.#urgent].filter((key) => this.#known.get(key) !== undefined);
      this.#urgent.clear();
      if (keys.length > 0 && !this.#origin.isOut) await this.#fetch(keys, []);
    }
    this.#isUrging = false;
  }

  /** The error that it ended in, if it did. */
  async #fetch(keys: string[], deferred: Deferred[]): Promise<unknown> {
    const asked = this.#known.ask();
    const from = performance.now();
    try {
      const circuits = await this.#origin.refresh(keys, deferred);
      // Slow ones count, and one alone does not double the pace.
      this.#roundTripMs += (performance.now() - from - this.#roundTripMs) / 4;
      const found = new Map(circuits.map((circuit) => [circuit.key, circuit]));
      for (const { key } of deferred) {
        const circuit = found.get(key);
        if (circuit?.isCounted) {
          this.#known.land(key, circuit, asked);
        } else {
          // Somebody else was at it: it waits for the next time, and is read at once.
          this.#known.bringBack(key, true);
          this.#urgent.add(key);
        }
      }
      for (const key of keys) this.#known.learnRead(key, found.get(key), asked);
    } catch (error) {
      for (const { key } of deferred) this.#known.bringBack(key, isRefused(error));
      return error;
    }
  }
}

/** Whether a statement that failed has certainly done nothing: the server was there to say so. */
function isRefused(error: unknown): boolean {
  const sqlState = isCircuitBreakerStoreError(error) ? error.sqlState : undefined;
  return sqlState !== undefined && !/^(08|57)/.test(sqlState);
}
