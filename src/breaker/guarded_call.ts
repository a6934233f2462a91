import { isRequestBound } from "../edge/request_bound.ts";
import { CallTimers, type TimedCall, type TimeLimit } from "./call_timers.ts";
import { CallTimeoutError } from "./errors.ts";
import type { CallContext } from "./options.ts";
import { RequestCallTimers } from "./request_call_timers.ts";
import type { CallSignal } from "./signal.ts";

/**
 * Says what the caller gets of a call that has ended: with what it threw or was ended with, or with what
 * it returned.
 */
type Conclude = (isFailed: boolean, end: unknown) => unknown;

/** The caller gets what there is. */
const passOn: Conclude = (isFailed, end) => isFailed ? Promise.reject(end) : end;

/** How a call has ended. */
export type Ending = "returned" | "threw" | "timed out" | "aborted";

/**
 * A call of a guarded function that something else can end before its function does.
 *
 * States: under way; ended, in the way that `ending` says.
 * - The function returns or throws: under way -> ended.
 * - The time is over, or the caller's signal aborts: under way -> ended. The function's own signal aborts
 *   as well. What the function returns or throws after that is ignored.
 */
export class GuardedCall<Result> implements TimedCall {
  readonly #caller: CallSignal | undefined;
  readonly #timers: TimeLimit | undefined;
  #controller: AbortController | undefined;
  #ending: Ending | undefined;
  /** Why the function's signal has aborted, where it has. */
  #reason: unknown;
  #settle!: (end: unknown) => void;
  #conclude!: Conclude;
  #onAbort: (() => void) | undefined;
  // Of TimedCall.
  dueAt: number = Infinity;
  previous: TimedCall = this;
  next: TimedCall = this;

  constructor(caller: CallSignal | undefined, timers: TimeLimit | undefined) {
    this.#caller = caller;
    this.#timers = timers;
  }

  /** How it has ended; `undefined` while it is under way. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** The signal of the function, which is made when it is first read. */
  get signal(): CallSignal {
    // Without a time limit the caller's own signal says all.
    if (this.#caller !== undefined && this.#timers === undefined) return this.#caller;
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isStopped) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal as CallSignal;
  }

  /**
   * Calls the function. The promise settles when the call has ended, in whichever way, and with what
   * `conclude` makes of it.
   */
  run(
    key: string,
    isProbe: boolean,
    call: (context: CallContext) => Result | PromiseLike<Result>,
    now: number,
    conclude: Conclude = passOn,
  ): Promise<Result> {
    return new Promise((resolve) => {
      this.#settle = resolve as (end: unknown) => void;
      this.#conclude = conclude;
      this.#timers?.add(this, now);
      if (this.#caller !== undefined) {
        this.#onAbort = () => this.#abort();
        this.#caller.addEventListener("abort", this.#onAbort);
      }
      const onThrown = (error: unknown) => {
        // The function may have heard of the abort before this call has.
        if (this.#caller?.aborted) this.#abort();
        else if (this.#end("threw")) this.#settle(conclude(true, error));
      };
      let answer: Promise<Result>;
      try {
        const context = new StoppableContext(key, isProbe, this as GuardedCall<unknown>);
        // A promise whose properties throw is a call that throws.
        answer = Promise.resolve(call(context));
      } catch (error) {
        onThrown(error);
        return;
      }
      answer.then((result) => {
        if (this.#end("returned")) this.#settle(conclude(false, result));
      }, onThrown);
    });
  }

  /** The time is over. */
  expire(): void {
    this.#ending = "timed out";
    this.#release();
    this.#stop(new CallTimeoutError(this.#timers!.timeoutMs));
  }

  #abort(): void {
    if (this.#end("aborted")) this.#stop(this.#caller!.reason);
  }

  get #isStopped(): boolean {
    return this.#ending === "timed out" || this.#ending === "aborted";
  }

  /** Returns `false` where it has ended before. */
  #end(ending: Ending): boolean {
    if (this.#ending !== undefined) return false;
    this.#ending = ending;
    this.#timers?.remove(this);
    this.#release();
    return true;
  }

  #release(): void {
    if (this.#onAbort !== undefined) this.#caller!.removeEventListener("abort", this.#onAbort);
  }

  #stop(reason: unknown): void {
    this.#reason = reason;
    this.#settle(this.#conclude(true, reason));
    // Listeners of the function run at once.
    this.#controller?.abort(reason);
  }
}

/** The time limit of all calls of a breaker, as its runtime can keep it. */
export function timeLimitOf(timeoutMs: number): TimeLimit {
  return isRequestBound()
    ? new RequestCallTimers(timeoutMs)
    : new CallTimers(timeoutMs, new GuardedCall(undefined, undefined));
}

/** The context of a call that something else can end. */
class StoppableContext implements CallContext {
  readonly key: string;
  readonly isProbe: boolean;
  readonly #call: GuardedCall<unknown>;

  constructor(key: string, isProbe: boolean, call: GuardedCall<unknown>) {
    this.key = key;
    this.isProbe = isProbe;
    this.#call = call;
  }

  get signal(): CallSignal {
    return this.#call.signal;
  }
}

/** The context of a call that nothing but its function ends. */
export class PlainContext implements CallContext {
  readonly key: string;
  readonly isProbe: boolean;
  #signal: CallSignal | undefined = undefined;

  constructor(key: string, isProbe: boolean) {
    this.key = key;
    this.isProbe = isProbe;
  }

  get signal(): CallSignal {
    return this.#signal ??= new AbortController().signal as CallSignal;
  }
}

/** Waits for a promise until a signal aborts. `onLate` is given what it was fulfilled with after that. */
export function untilAborted<Result>(
  signal: CallSignal | undefined,
  waiting: Promise<Result>,
  onLate: (result: Result) => void = () => {},
): Promise<Result> {
  if (signal === undefined) return waiting;
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      signal.removeEventListener("abort", onAbort);
      reject(signal.reason);
      waiting.then(onLate, () => {});
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort);
    waiting.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
