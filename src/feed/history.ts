import { storedKeyOf } from "../key.ts";
import { resolveHistoryOptions } from "../options/history.ts";
import type { Tail } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type { CircuitChange, HistoryOptions } from "../operator_types.ts";
import { decodeCursor } from "./cursor.ts";
import { isShown, LogReader, type ReaderPlace, toCircuitChange } from "./log_reader.ts";

/** What a history needs. */
export interface HistorySource {
  log: Pick<Tail, "log">;
  /** Begins the call. */
  begin: () => Call;
  clock: CallerClock;
}

const BEGINNING: ReaderPlace = { from: undefined, to: undefined, version: undefined };

/** Reads the changes that the log keeps. */
export class History {
  readonly #source: HistorySource;

  constructor(source: HistorySource) {
    this.#source = source;
  }

  /** Reads a page of changes, and as many pages of the log as it takes. */
  async read(options: HistoryOptions): Promise<CircuitChange[]> {
    const { key, since, after, limit, rounds } = resolveHistoryOptions(options);
    const place = after === undefined ? BEGINNING : decodeCursor("read history", after);
    const { log, begin, clock } = this.#source;
    const call = begin();
    const reader = new LogReader(log, {
      key: key === undefined ? undefined : await storedKeyOf(key),
      since: since === undefined ? undefined : await this.#toDeciding(call, since),
      hasRounds: rounds,
    }, place);
    const found: CircuitChange[] = [];
    for (let isAtEnd = false; !isAtEnd && found.length < limit;) {
      const page = await reader.read(call, limit - found.length);
      for (const each of page.changes) {
        if (isShown(each.change, { rounds, acts: true })) found.push(toCircuitChange(each, clock));
      }
      isAtEnd = page.isAtEnd;
    }
    return found;
  }

  /**
   * Converts a time of the caller's clock into the clock that decides. A store that has not asked the
   * database anything does not know yet how far the clocks differ.
   */
  async #toDeciding(call: Call, time: number): Promise<number> {
    const { log, clock } = this.#source;
    const { readAt } = await log.log(call, {
      after: undefined,
      until: undefined,
      afterVersion: undefined,
      key: undefined,
      since: undefined,
      hasRounds: false,
      limit: 0,
    });
    return Math.ceil(time - (clock.toCaller(readAt) - readAt));
  }
}
