import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import type { CachedCircuit } from "./cached_circuit.ts";
import { countNow } from "./count_now.ts";
import type { CacheEntries } from "./entries.ts";
import type { Timers } from "../time/timers.ts";
import type { Origin } from "./origin.ts";

/**
 * The pause between two counts of what waits: this share of the time for which a circuit has been suspect,
 * and at least this share of the bound. So the counted calls lack at most an eighth from two bounds on, when
 * a record may decide, and a long suspicion costs few statements.
 */
const SHARE_OF_AGE = 1 / 8;
const SHARE_OF_BOUND = 1 / 4;

/** What {@linkcode Suspects} needs. */
export interface SuspectsOptions {
  maxStalenessMs: number;
  /** The window of the rates, in milliseconds. A suspicion ends with it. */
  windowMs: number;
  /** The clock that measures ages. */
  clock: () => number;
  deadlines: CallDeadlines;
  timers: Timers;
}

/**
 * Counts the successes of suspect circuits soon. Failures are known at once and successes late, so a rate
 * seems to be due where it is not. An instance counts what waits before each of its failures. The first
 * record that finds a rate due makes the circuit suspect. Every instance hears of that through the log and
 * counts what waits, before a later record decides.
 *
 * States: at rest (no circuit is suspect); counting (a statement is under way); waiting (a timer runs).
 * - `note`: at rest -> counting.
 * - `note` of a new suspicion: waiting -> counting.
 * - The statement ends: counting -> waiting. The circuit that became suspect last decides for how long.
 * - The time is over: waiting -> counting; to at rest where no circuit is suspect any more.
 * - `end`: to at rest for good.
 */
export class Suspects {
  readonly #origin: Origin;
  readonly #entries: CacheEntries;
  readonly #options: SuspectsOptions;
  /** When each circuit became suspect. */
  readonly #suspects = new Map<CachedCircuit, number>();
  /** The statements under way. */
  readonly #underway = new Set<Promise<void>>();
  #timer: unknown;
  #isCounting = false;
  #isEnded = false;

  constructor(origin: Origin, entries: CacheEntries, options: SuspectsOptions) {
    this.#origin = origin;
    this.#entries = entries;
    this.#options = options;
  }

  /** A circuit is known as suspect since a time. */
  note(entry: CachedCircuit, suspectAt: number): void {
    if (this.#suspects.get(entry) === suspectAt || this.#isOver(entry)) return;
    this.#suspects.set(entry, suspectAt);
    if (this.#isEnded || this.#isCounting) return;
    this.#options.timers.stop(this.#timer);
    this.#options.timers.run(() => this.#run());
  }

  /** Counts nothing more by itself. Resolves when no statement is under way. Never fails. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#options.timers.stop(this.#timer);
    if (this.#options.timers.canJoin) await Promise.all(this.#underway);
  }

  async #run(): Promise<void> {
    const { clock, maxStalenessMs, timers } = this.#options;
    this.#isCounting = true;
    await this.count(this.#options.deadlines.begin(), this.#all());
    this.#isCounting = false;
    const ages = this.#all().map((entry) => entry.suspicionAge(clock()));
    if (this.#isEnded || ages.length === 0) return;
    const pauseMs = Math.max(maxStalenessMs * SHARE_OF_BOUND, Math.min(...ages) * SHARE_OF_AGE);
    this.#timer = timers.start(() => this.#run(), pauseMs);
  }

  /** Those that are still suspect. */
  #all(): CachedCircuit[] {
    for (const entry of this.#suspects.keys()) {
      if (this.#isOver(entry)) this.#suspects.delete(entry);
    }
    return [...this.#suspects.keys()];
  }

  #isOver(entry: CachedCircuit): boolean {
    const { clock, windowMs } = this.#options;
    return entry.suspicionAge(clock()) >= windowMs;
  }

  /** Counts the successes of some circuits that wait, at most once. Never fails. */
  async count(call: Call, circuits: readonly CachedCircuit[]): Promise<void> {
    const entries = circuits.filter(({ successes }) => successes.waiting > 0);
    if (entries.length === 0 || this.#origin.isOut) return;
    const counted = this.#send(call, entries);
    this.#underway.add(counted);
    await counted;
    this.#underway.delete(counted);
  }

  async #send(call: Call, entries: readonly CachedCircuit[]): Promise<void> {
    const failed = await countNow(this.#origin, this.#entries, call, entries);
    // The statement was reported. It may have counted them.
    failed?.deferred.forEach((taken, i) => entries[i]!.successes.drop(taken));
  }
}
