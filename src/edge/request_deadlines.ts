import { beginCall, type Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import { LAST_READ_MS, timeoutError } from "../time/end_within.ts";

/** A timer that fires later than this, in milliseconds, was held up by the runtime itself. */
const HELD_UP_MS = 20;

/**
 * Deadlines for a runtime in which no timer outlives its request. Each piece of work has a timer of its
 * own, which belongs to the request and ends with the work. The request stays alive until the work has
 * ended, also where its client leaves: what was sent is then answered, and what waits for it goes on.
 */
export class RequestDeadlines implements CallDeadlines {
  readonly #timeoutMs: number;
  readonly #keep: (work: Promise<unknown>) => void;

  /**
   * @param timeoutMs How long a call may take, in milliseconds.
   * @param keep Keeps the request alive until work has ended.
   */
  constructor(timeoutMs: number, keep: (work: Promise<unknown>) => void) {
    this.#timeoutMs = timeoutMs;
    this.#keep = keep;
  }

  /** Begins a call, which no other call shares. */
  begin(): Call {
    return beginCall(this.#timeoutMs);
  }

  race<Result>(call: Call, action: string, work: Promise<Result>): Promise<Result> {
    const raced = new Promise<Result>((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout>;
      const wait = (run: () => void, ms: number) => void (timer = setTimeout(run, Math.max(0, ms)));
      const expire = () => reject(timeoutError(action, this.#timeoutMs));
      wait(() => {
        const lateMs = performance.now() - call.dueAt;
        // The time in which nothing could be read does not count, up to the time that a call has.
        wait(expire, lateMs > HELD_UP_MS ? Math.min(lateMs, this.#timeoutMs) : LAST_READ_MS);
      }, call.dueAt - performance.now());
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
    this.#keep(raced);
    return raced;
  }

  /**
   * Whether the runtime was held up since a moment at which a statement was sent: otherwise its deadline
   * would have ended it.
   */
  wasHeldUpSince(moment: number): boolean {
    return performance.now() - moment >= 1.5 * this.#timeoutMs;
  }
}
