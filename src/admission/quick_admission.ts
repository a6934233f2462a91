import { isPlain } from "../key.ts";
import type { KnownCalls, Observed } from "../ports.ts";
import type { QuickCalls } from "../quick_calls.ts";
import type { CircuitBreakerSnapshot, CircuitState, ResultOptions } from "../types.ts";
import type { Gate } from "./gate.ts";

/** Where results go that take a statement. */
interface Recorder {
  recordSuccess(key: string, options: ResultOptions): Promise<CircuitBreakerSnapshot>;
  recordFailure(key: string, options: ResultOptions): Promise<CircuitBreakerSnapshot>;
}

/** Admits calls on circuits that memory knows as closed, by the rules of the gate, and counts them. */
export class QuickAdmission implements QuickCalls {
  readonly slowMs: number;
  readonly #known: KnownCalls;
  readonly #gate: Pick<Gate<unknown>, "isClear">;
  readonly #recorder: Recorder;
  readonly #observed: Observed;

  constructor(
    known: KnownCalls,
    gate: Pick<Gate<unknown>, "isClear">,
    recorder: Recorder,
    observed: Observed,
    slowMs: number,
  ) {
    this.slowMs = slowMs;
    this.#known = known;
    this.#gate = gate;
    this.#recorder = recorder;
    this.#observed = observed;
  }

  admits(key: string): boolean {
    if (!isPlain(key)) return false;
    const circuit = this.#known.known(key);
    if (circuit === "unknown" || !this.#gate.isClear(circuit)) return false;
    this.#observed.observer?.onAdmitted?.(key, false);
    return true;
  }

  countSuccess(key: string, isSlow: boolean): boolean {
    if (!this.#known.countSuccess(key, isSlow)) return false;
    this.#observed.observer?.onResult?.(key, "success");
    return true;
  }

  async record(
    key: string,
    outcome: "success" | "failure",
    durationMs: number,
  ): Promise<CircuitState> {
    const { state } = outcome === "success"
      ? await this.#recorder.recordSuccess(key, { durationMs })
      : await this.#recorder.recordFailure(key, { durationMs });
    return state;
  }
}
