import type { LogCursor } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CacheEntries } from "./entries.ts";
import type { Origin } from "./origin.ts";

/** How many changed circuits a refresh takes at most. */
const PAGE = 1000;

/** What a refresh has found. */
export type Followed = "began" | "followed" | "began anew" | "overtaken";

/**
 * Keeps the cached circuits up to date by the log of changes. After each statement every known
 * circuit is known as of the moment at which that statement was sent.
 *
 * States: apart (no cursor); beginning; following.
 * - `follow`: apart -> beginning. The log has a cursor. A circuit that was asked for before may lack
 *   changes that the cursor has passed: it ages by itself, until it is read again.
 * - `follow`: beginning -> following. Circuits that were not read again are forgotten.
 * - `follow`: following -> following. What the log says replaces what is older.
 * - `follow`, and changes may have been missed: the known circuits are forgotten, and no answer to an
 *   earlier question is kept. It goes on from the new cursor.
 * - `follow` fails: the cursor stays.
 * - The cursor has moved meanwhile: the page is not used, because it says what changed since another one.
 * - `rest`: to apart.
 */
export class TailFollower {
  readonly #origin: Origin;
  readonly #entries: CacheEntries;
  #cursor: LogCursor | undefined;
  /** The order of the first answer, until the second one. */
  #beganOrder: number | undefined;
  /** When the statement was sent as of which everything is known. */
  validAt: number = -Infinity;

  constructor(origin: Origin, entries: CacheEntries) {
    this.#origin = origin;
    this.#entries = entries;
  }

  /** Sends one statement. */
  async follow(call: Call): Promise<Followed> {
    const asked = this.#entries.askAny();
    const after = this.#cursor;
    const page = await this.#origin.tail(call, after, PAGE);
    if (this.#cursor !== after) return "overtaken";
    this.#cursor = page.cursor;
    if (after === undefined) {
      this.#beganOrder = this.#entries.nextOrder();
      return "began";
    }
    const isNew = page.isBreak || page.isTooLong;
    if (isNew) {
      // After a break the counters can be those of another server.
      this.#entries.forgetAll(!page.isBreak);
    } else {
      if (this.#beganOrder !== undefined) this.#entries.forgetBefore(this.#beganOrder);
      for (const circuit of page.circuits) {
        this.#entries.learnLogged(circuit.key, circuit, asked);
      }
      for (const key of page.absent) this.#entries.learnLogged(key, undefined, asked);
    }
    this.#beganOrder = undefined;
    this.validAt = asked.at;
    return isNew ? "began anew" : "followed";
  }

  /** Nothing is known any more. */
  rest(): void {
    this.#cursor = undefined;
    this.#beganOrder = undefined;
    this.validAt = -Infinity;
  }
}
