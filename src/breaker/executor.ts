import type { CircuitKey } from "../key.ts";
import { assertKey } from "../options/check.ts";
import type { PermitOutcome } from "../permit.ts";
import { type QuickCalls, quickCallsOf } from "../quick_calls.ts";
import type { TimeLimit } from "./call_timers.ts";
import { type CallEnd, defaultClassify, outcomeOfResult } from "./classify.ts";
import { classified, type Classify, permitOf, waitOf } from "./checked_answers.ts";
import type { Emitter } from "./emitter.ts";
import { type CallTimeoutError, CircuitOpenError } from "./errors.ts";
import { GuardedCall, PlainContext, timeLimitOf, untilAborted } from "./guarded_call.ts";
import type {
  BreakerPermit,
  BreakerStore,
  CallContext,
  CircuitBreakerOptions,
  ExecuteOptions,
} from "./options.ts";
import { Records } from "./records.ts";
import { resolveCall } from "./resolve_options.ts";
import { Sightings } from "./sightings.ts";

/** A function that a breaker guards. */
export type Guarded<Result> = (context: CallContext) => Result | PromiseLike<Result>;

type Options = ExecuteOptions<never, unknown>;

/** An admitted call: of which circuit, and where its result goes. */
interface Admitted {
  readonly key: string;
  readonly isProbe: boolean;
  /** Records the result. Returns `undefined` where that is done, or is not to be done. */
  record(outcome: PermitOutcome, durationMs: number): Promise<unknown> | undefined;
}

const NO_OPTIONS: Options = {};

/**
 * Makes the calls of one breaker.
 *
 * States of a call: asked for; refused; under way; ended.
 * - The store allows it: asked for -> under way. Where the store fails, too, unless the options say otherwise.
 * - The store refuses it: asked for -> refused.
 * - It returns, throws, takes too long, or its caller aborts: under way -> ended. Its result is classified,
 *   recorded and reported, each once.
 * - A refused call, and one that ended by a failure, goes on with its fallback, where it has one.
 */
export class Executor {
  readonly #store: BreakerStore;
  readonly #quick: QuickCalls | undefined;
  /** The method for which the quick calls stand in. A test may replace it at any time. */
  readonly #acquireMethod: unknown;
  readonly #emitter: Emitter;
  readonly #sightings: Sightings;
  readonly #records: Records;
  readonly #timers: TimeLimit | undefined;
  readonly #classify: Classify;
  readonly #fallback: Options["fallback"];
  readonly #isStoreNeeded: boolean;

  constructor(store: BreakerStore, options: CircuitBreakerOptions<unknown>, emitter: Emitter) {
    const { callTimeoutMs, classify = defaultClassify, onStoreError, record, fallback } = options;
    this.#store = store;
    this.#quick = quickCallsOf(store);
    this.#acquireMethod = store.acquire;
    this.#emitter = emitter;
    this.#sightings = new Sightings(emitter);
    this.#records = new Records(record === "await");
    this.#timers = callTimeoutMs === undefined ? undefined : timeLimitOf(callTimeoutMs);
    this.#classify = classify;
    this.#fallback = fallback;
    this.#isStoreNeeded = onStoreError === "reject";
  }

  /** How many circuits are remembered. */
  get remembered(): number {
    return this.#sightings.size;
  }

  execute(key: CircuitKey, call: Guarded<unknown>, options?: Options): Promise<unknown> {
    // The short way of most calls: on a closed circuit, without options.
    if (
      options === undefined && typeof key === "string" && typeof call === "function" &&
      this.#admitsAtOnce(key)
    ) {
      return this.#timers === undefined
        ? this.#callAtOnce(this.#quick!, key, call)
        : this.#callInTime(this.#quick!, key, call);
    }
    return this.#execute(key, call, options === undefined ? NO_OPTIONS : options);
  }

  /** Waits for the results that are being recorded. */
  end(): Promise<void> {
    return this.#records.end();
  }

  #admitsAtOnce(key: string): boolean {
    const quick = this.#quick;
    if (quick === undefined || this.#store.acquire !== this.#acquireMethod) return false;
    try {
      return quick.admits(key);
    } catch {
      return false; // the store's own method fails likewise, and that is reported
    }
  }

  async #callAtOnce(quick: QuickCalls, key: string, call: Guarded<unknown>): Promise<unknown> {
    if (this.#sightings.size > 0) this.#sightings.meet(key, "closed");
    const isMeasured = this.#isMeasured(quick);
    const beganAt = isMeasured ? performance.now() : 0;
    let result: unknown;
    try {
      result = await call(new PlainContext(key, false));
    } catch (error) {
      const durationMs = isMeasured ? performance.now() - beganAt : 0;
      const admitted = this.#admitted(quick, key);
      return await this.#failed(admitted, error, durationMs, undefined, NO_OPTIONS);
    }
    const waiting = this.#returnedAtOnce(quick, key, result, isMeasured ? beganAt : undefined);
    if (waiting !== undefined) await waiting;
    return result;
  }

  /** The same within a time limit. It takes one promise less than it would with an async function. */
  #callInTime(quick: QuickCalls, key: string, call: Guarded<unknown>): Promise<unknown> {
    if (this.#sightings.size > 0) this.#sightings.meet(key, "closed");
    const guarded = new GuardedCall<unknown>(undefined, this.#timers);
    const isMeasured = this.#isMeasured(quick);
    const beganAt = performance.now();
    return guarded.run(key, false, call, beganAt, (isFailed, end) => {
      if (isFailed) {
        const durationMs = isMeasured ? performance.now() - beganAt : 0;
        return this.#failed(this.#admitted(quick, key), end, durationMs, guarded, NO_OPTIONS);
      }
      const waiting = this.#returnedAtOnce(quick, key, end, isMeasured ? beganAt : undefined);
      return waiting === undefined ? end : waiting.then(() => end);
    });
  }

  /** Whether anything needs to know how long a call takes. */
  #isMeasured(quick: QuickCalls): boolean {
    return quick.slowMs !== Infinity || this.#emitter.hearsCalls;
  }

  /** Counts a call that has returned. The promise is one that the call has to wait for. */
  #returnedAtOnce(
    quick: QuickCalls,
    key: string,
    result: unknown,
    beganAt: number | undefined,
  ): Promise<void> | undefined {
    const durationMs = beganAt === undefined ? 0 : performance.now() - beganAt;
    if (this.#isPlainSuccess(result) && this.#countsAtOnce(quick, key, durationMs)) {
      return undefined;
    }
    return this.#returned(this.#admitted(quick, key), result, durationMs, NO_OPTIONS);
  }

  /** Whether a result is a success that is only to be counted. */
  #isPlainSuccess(result: unknown): boolean {
    if (this.#emitter.hearsCalls || this.#classify !== defaultClassify) return false;
    try {
      return outcomeOfResult(result, false) === "success";
    } catch {
      return false; // a result whose properties throw
    }
  }

  #countsAtOnce(quick: QuickCalls, key: string, durationMs: number): boolean {
    try {
      return quick.countSuccess(key, durationMs >= quick.slowMs);
    } catch {
      return false; // recording it fails likewise, and that is reported
    }
  }

  #admitted(quick: QuickCalls, key: string): Admitted {
    return {
      key,
      isProbe: false,
      record: (outcome, durationMs) => {
        if (outcome === "ignored") return undefined;
        const isCounted = outcome === "success" && this.#countsAtOnce(quick, key, durationMs);
        return isCounted ? undefined : quick.record(key, outcome, durationMs);
      },
    };
  }

  async #execute(key: CircuitKey, call: Guarded<unknown>, given: Options): Promise<unknown> {
    assertKey("execute call", key);
    const options = resolveCall(call, given);
    const { signal } = options;
    if (signal?.aborted) throw signal.reason;
    const name = typeof key === "string" ? key : key.storedKey;
    let admitted: Admitted;
    if (typeof key === "string" && this.#admitsAtOnce(key)) {
      if (this.#sightings.size > 0) this.#sightings.meet(key, "closed");
      admitted = this.#admitted(this.#quick!, key);
    } else {
      let permit: BreakerPermit | undefined;
      try {
        const giveBack = (late: BreakerPermit) => this.#giveBack(name, late);
        permit = await untilAborted(signal, permitOf(this.#store, key), giveBack);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        this.#emitter.fail(name, error);
        if (this.#isStoreNeeded) return await this.#fallBack(name, error, options);
      }
      if (permit !== undefined) {
        this.#sightings.meet(name, permit.state);
        if (signal?.aborted) {
          this.#giveBack(name, permit);
          throw signal.reason;
        }
        if (!permit.allowed) return await this.#refuse(name, permit, options);
      }
      admitted = {
        key: name,
        isProbe: permit?.isProbe ?? false,
        record: (outcome, durationMs) => permit?.report(outcome, { durationMs }),
      };
    }
    return await this.#call(admitted, call, options);
  }

  /** The caller has gone before the permit came. */
  #giveBack(key: string, permit: BreakerPermit): void {
    if (!permit.allowed) return;
    const admitted = { key, isProbe: permit.isProbe, record: () => permit.report("ignored") };
    void this.#record(admitted, "ignored", 0);
  }

  async #refuse(key: string, permit: BreakerPermit, options: Options): Promise<unknown> {
    const { state, forced } = permit;
    const error = new CircuitOpenError({
      key,
      retryAfterMs: waitOf(permit),
      state,
      isForced: forced?.state === "open",
      reason: forced?.reason,
    });
    if (this.#emitter.has("reject")) this.#emitter.emit("reject", { key, error });
    return await this.#fallBack(key, error, options);
  }

  async #call(admitted: Admitted, call: Guarded<unknown>, options: Options): Promise<unknown> {
    const { key, isProbe } = admitted;
    const { signal } = options;
    const guarded = signal === undefined && this.#timers === undefined
      ? undefined
      : new GuardedCall<unknown>(signal, this.#timers);
    const beganAt = performance.now();
    let result: unknown;
    try {
      result = guarded === undefined
        ? await call(new PlainContext(key, isProbe))
        : await guarded.run(key, isProbe, call, beganAt);
    } catch (error) {
      const durationMs = performance.now() - beganAt;
      return await this.#failed(admitted, error, durationMs, guarded, options);
    }
    const waiting = this.#returned(admitted, result, performance.now() - beganAt, options);
    if (waiting !== undefined) await waiting;
    return result;
  }

  /** A call has returned. The promise is one that the call has to wait for. */
  #returned(
    admitted: Admitted,
    result: unknown,
    durationMs: number,
    options: Options,
  ): Promise<void> | undefined {
    const { key, isProbe } = admitted;
    const end = { threw: false, result, isProbe, key } as const;
    return this.#conclude(admitted, this.#outcomeOf(end, options), end, durationMs);
  }

  /** A call has thrown, or was ended from outside. */
  async #failed(
    admitted: Admitted,
    error: unknown,
    durationMs: number,
    guarded: GuardedCall<unknown> | undefined,
    options: Options,
  ): Promise<unknown> {
    const { key, isProbe } = admitted;
    const end = { threw: true, error, isProbe, key } as const;
    if (guarded?.ending === "aborted") {
      // It does not wait for the store.
      void this.#conclude(admitted, "ignored", end, durationMs);
      throw error;
    }
    const isLate = guarded?.ending === "timed out";
    if (isLate && this.#emitter.has("timeout")) {
      this.#emitter.emit("timeout", { key, isProbe, error: error as CallTimeoutError });
    }
    const outcome = this.#outcomeOf(end, options);
    await this.#conclude(admitted, outcome, end, durationMs);
    if (!isLate && outcome !== "failure") throw error;
    return await this.#fallBack(key, error, options);
  }

  /** Records and reports a call that has ended. The promise is one that the call has to wait for. */
  #conclude(
    admitted: Admitted,
    outcome: PermitOutcome,
    end: CallEnd,
    durationMs: number,
  ): Promise<void> | undefined {
    const waiting = this.#record(admitted, outcome, durationMs);
    if (this.#emitter.has(outcome)) {
      const { key, isProbe } = admitted;
      this.#emitter.emit(outcome, { key, isProbe, durationMs, end });
    }
    return waiting;
  }

  #record(
    admitted: Admitted,
    outcome: PermitOutcome,
    durationMs: number,
  ): Promise<void> | undefined {
    const { key } = admitted;
    try {
      const recording = admitted.record(outcome, durationMs);
      if (recording === undefined) return undefined;
      return this.#records.take(
        Promise.resolve(recording).then(
          (state) => this.#sightings.meet(key, state),
          (error) => this.#emitter.fail(key, error),
        ),
      );
    } catch (error) {
      this.#emitter.fail(key, error);
    }
  }

  #outcomeOf(end: CallEnd, options: Options): PermitOutcome {
    return classified(end, options.classify ?? this.#classify, this.#emitter);
  }

  /** Goes on with the fallback, or rejects where there is none. */
  async #fallBack(key: string, error: unknown, options: Options): Promise<unknown> {
    const { fallback = this.#fallback } = options;
    const { signal } = options;
    // It can have aborted while the result was recorded.
    if (signal?.aborted) throw signal.reason;
    if (fallback === undefined || fallback === null) throw error;
    if (this.#emitter.has("fallback")) this.#emitter.emit("fallback", { key, error });
    const answer = fallback(error, { key, signal });
    return await untilAborted(signal, Promise.resolve(answer));
  }
}
