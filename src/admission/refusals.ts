import type { Circuit } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";
import type { RefusedCalls } from "../ports.ts";

/** How long refusals wait before they are counted, in milliseconds: half of it to all of it. */
const WAIT_MS = 5000;

/** How many circuits wait at most: those refused last. */
const MAX_KEYS = 10_000;

/** How many circuits one statement counts at most. */
const PIECE = 1000;

/** Refusals of one circuit that wait. Those of an earlier outage are over. */
interface Waiting extends RefusedCalls {
  refused: number;
}

/** What counts refusals. */
export interface RefusalsOptions {
  /** Sends them. Returns the keys of those that are to be sent again. */
  readonly count: (calls: readonly RefusedCalls[]) => Promise<readonly string[]>;
  /** Whether the database is out, so that what waits goes on waiting; never by default. */
  readonly isOut?: () => boolean;
  /** After how many milliseconds a count that has not ended is taken for dead; never by default. */
  readonly deadAfterMs?: number | undefined;
  /** A clock that only goes on, in milliseconds; by default `performance.now()`. */
  readonly clock?: () => number;
  /** Numbers in [0, 1) that spread the statements of many instances. */
  readonly random?: () => number;
}

/**
 * Adds up the requests that this instance refused, and has them counted in the background. It runs no
 * timer: each statement that the database has answered gives it the occasion.
 *
 * States: at rest (nothing waits); waiting; counting; ended.
 * - `note`: at rest -> waiting.
 * - `onAnswered`, when the time is over: waiting -> counting. In an outage only its checks are answered, before
 *   it is over: what waits goes on waiting.
 * - The statement ends: counting -> at rest, or waiting with what came meanwhile and what was left over.
 *   What a failed statement took is dropped, because it may have been counted.
 * - `end`: to ended, after a last count.
 */
export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #clock: () => number;
  readonly #waiting = new Map<string, Waiting>();
  #counting: Promise<void> | undefined;
  #countingSince = 0;
  #dueAt = Infinity;
  #isEnded = false;

  constructor(options: RefusalsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
  }

  /** How many refusals wait. */
  get pending(): number {
    let pending = 0;
    for (const { refused } of this.#waiting.values()) pending += refused;
    return pending;
  }

  /** A circuit has refused a request. */
  note({ key, openedAt }: Pick<Circuit, "key" | "openedAt">): void {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined && waiting.openedAt >= openedAt) waiting.refused++;
    else this.#add({ key, refused: 1, openedAt });
  }

  /** The database has answered a statement. */
  onAnswered(): void {
    if (this.#waiting.size === 0 || this.#isEnded || this.#isOut) return;
    const now = this.#clock();
    const { deadAfterMs = Infinity } = this.#options;
    const isCounting = this.#counting !== undefined && now < this.#countingSince + deadAfterMs;
    if (!isCounting && now >= this.#dueAt) this.#begin();
  }

  /** Counts what waits, and nothing from then on. Never rejects. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#counting;
    if (!this.#isOut) this.#begin();
    await this.#counting;
  }

  get #isOut(): boolean {
    return this.#options.isOut?.() ?? false;
  }

  #wait(): void {
    const { random = Math.random } = this.#options;
    this.#dueAt = this.#clock() + WAIT_MS * (1 + random()) / 2;
  }

  #add({ key, refused, openedAt }: RefusedCalls): void {
    if (this.#waiting.size === 0) this.#wait();
    const known = this.#waiting.get(key);
    if (known === undefined || known.openedAt < openedAt) {
      keepLast(this.#waiting, key, { key, refused, openedAt }, MAX_KEYS);
    } else if (known.openedAt === openedAt) {
      known.refused += refused;
    }
  }

  #begin(): void {
    this.#countingSince = this.#clock();
    const counting = this.#count().finally(() => {
      if (this.#counting === counting) this.#counting = undefined;
    });
    this.#counting = counting;
  }

  async #count(): Promise<void> {
    const taken = [...this.#waiting.values()];
    this.#waiting.clear();
    for (let from = 0; from < taken.length; from += PIECE) {
      const piece = taken.slice(from, from + PIECE);
      try {
        const leftOver = new Set(await this.#options.count(piece));
        for (const calls of piece) if (leftOver.has(calls.key)) this.#add(calls);
      } catch {
        // The statement was reported.
      }
    }
  }
}
