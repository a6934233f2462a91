import {
  CircuitBreakerStoreError,
  isStoreTimeoutError,
  isStoreUnavailableError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import type { Flush, FlushResult, Instance } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import type { CachedCircuit } from "./cached_circuit.ts";
import { countNow } from "./count_now.ts";
import type { CacheEntries } from "./entries.ts";
import type { Timers } from "../time/timers.ts";
import type { Origin } from "./origin.ts";

/** How many circuits one statement counts at most. */
export const PIECE = 1000;

/** The longest pause before a flush of unknown fate is sent again, in milliseconds. */
const PAUSE_MS = 40;

/** A flush that has no final result yet, and the circuits whose successes it counts. */
export interface OpenFlush {
  readonly flush: Flush;
  /** In the order of what is deferred. */
  readonly entries: readonly CachedCircuit[];
  /** Whether a statement was lost, which may count it at any time. */
  isLost: boolean;
}

/** What the last count needs of a flusher's options. */
export interface LastCountOptions {
  instance: Instance;
  deadlines: CallDeadlines;
  timers: Timers;
  random: () => number;
}

/**
 * Counts the successes of an instance that ends, within the deadline of one call.
 *
 * Steps:
 * 1. A flush that is running ends.
 * 2. A flush whose answer was lost gets its final result: it is sent again with its number until it
 *    has been counted, because the lost statement may still count it. One that found another flush
 *    running has counted nothing.
 * 3. What waits is counted in pieces, in statements that wait for their rows. One whose answer is lost
 *    is not sent again.
 */
export class LastCount {
  readonly #origin: Origin;
  readonly #entries: CacheEntries;
  readonly #options: LastCountOptions;

  constructor(origin: Origin, entries: CacheEntries, options: LastCountOptions) {
    this.#origin = origin;
    this.#entries = entries;
    this.#options = options;
  }

  /**
   * @param running Returns the flush without a final result, when no statement of it runs here.
   * @param close Takes over the final result of a flush.
   * @throws {CircuitBreakerStoreError} If successes were not counted.
   */
  async run(
    call: Call,
    running: () => Promise<OpenFlush | undefined>,
    close: (open: OpenFlush, result: FlushResult) => unknown,
  ): Promise<void> {
    let failure: unknown;
    const count = async () => {
      const open = await running();
      if (open?.isLost) {
        const result = await this.#find(call, open).catch((error) => void (failure = error));
        if (result) close(open, result);
      } else {
        open?.entries.forEach(({ successes }, i) => successes.putBack(open.flush.deferred[i]!));
      }
      failure = await this.#countAll(call) ?? failure;
    };
    try {
      await this.#options.deadlines.race(call, "count successes", count());
    } catch (error) {
      failure ??= error;
    }
    const { pending } = this.#entries;
    if (pending > 0) throw notCounted(pending, failure);
  }

  /** Sends a flush again until its result is final. */
  async #find(call: Call, { flush }: OpenFlush): Promise<FlushResult | undefined> {
    const { instance, timers, random } = this.#options;
    for (;;) {
      const found = await this.#origin.findFlush(call, instance, flush);
      if (found.outcome !== "busy") return found;
      const sent = await this.#origin.flush(call, instance, flush);
      if (sent.outcome !== "busy") return sent;
      if (performance.now() >= call.dueAt) return undefined;
      await timers.pause(random() * PAUSE_MS);
    }
  }

  /** Counts what waits. Returns the last error. */
  async #countAll(call: Call): Promise<unknown> {
    const entries = this.#entries.all().filter(({ successes }) => successes.waiting > 0);
    let failure: unknown;
    for (let from = 0; from < entries.length; from += PIECE) {
      const piece = entries.slice(from, from + PIECE);
      failure = (await countNow(this.#origin, this.#entries, call, piece))?.error ?? failure;
    }
    return failure;
  }
}

/** The error of an end that lost successes. It has the class of its cause. */
function notCounted(pending: number, cause: unknown): CircuitBreakerStoreError {
  const reason = cause === undefined ? "" : `: ${messageOf(cause)}`;
  const message = `Cannot close store: ${pending} acknowledged successes were not counted${reason}`;
  if (isStoreTimeoutError(cause)) return new StoreTimeoutError(message, { cause });
  if (isStoreUnavailableError(cause)) return new StoreUnavailableError(message, { cause });
  return new CircuitBreakerStoreError(message, { cause });
}
