import type { Circuit } from "../circuit.ts";
import { resolveReport } from "../options/permit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { AcquireOptions, Permit, PermitOutcome } from "../permit.ts";
import type { CircuitForce } from "../listing_types.ts";
import type { Answer, Calls, Observed } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitState, ResultOptions } from "../types.ts";
import type { Entry, Gate } from "./gate.ts";
import { RAMP_WAIT_MS, type Snapshots } from "./snapshots.ts";

/** Ends a probe without a result, unless it has been reported. */
export type HandBack = (call: Call) => Promise<unknown>;

/** Notes that a circuit, which callers see in a state, has refused a request. */
export type Refuse = (circuit: Circuit, state: CircuitState) => void;

/** What permits need. */
export interface PermitsOptions {
  readonly circuits: Calls;
  readonly rules: CircuitRules;
  readonly gate: Gate<HandBack>;
  readonly snapshots: Snapshots;
  /** Begins a call. */
  readonly begin: () => Call;
  /** Is called with errors of results that no caller waits for. */
  readonly onError: (error: unknown) => void;
  readonly refuse: Refuse;
  readonly observed: Observed;
}

/** Stores a result. Done once, it does nothing. Returns the answer to the last statement, if it sent one. */
type Report = (
  outcome: PermitOutcome,
  isSlow: boolean,
  call: Call,
) => Promise<Answer | undefined>;

/**
 * Gives permits for calls.
 *
 * States of a permit: refused; allowed; done.
 * - `report`: allowed -> done. The result is counted, and that of a probe is applied to its round.
 * - The signal of a probe aborts, or the store closes: allowed -> done. The probe's slot is free again.
 */
export class Permits {
  readonly #options: PermitsOptions;

  constructor(options: PermitsOptions) {
    this.#options = options;
  }

  /** Asks for a permit, given the circuit as it was read. */
  async acquire(
    call: Call,
    key: string,
    read: Circuit | undefined,
    signal: AcquireOptions["signal"],
  ): Promise<Permit> {
    const { gate, snapshots, refuse, observed } = this.#options;
    if (gate.isClear(read)) return this.#normal(key);
    const entry = await gate.enter(call, key, read, true);
    switch (entry.kind) {
      case "pass":
        return this.#normal(key, entry.circuit && snapshots.force(entry.circuit));
      case "probe":
        observed.observer?.onAdmitted?.(key, true);
        return this.#probe(key, entry, signal);
      case "ramp":
        refuse(entry.circuit, "closed");
        return this.#permit("closed", { retryAfterMs: RAMP_WAIT_MS });
      case "refused": {
        const retryAfterMs = snapshots.waitMs(entry.circuit, entry.patienceMs);
        const { state } = snapshots.snapshot(entry.circuit);
        refuse(entry.circuit, state);
        return this.#permit(state, { retryAfterMs, forced: snapshots.force(entry.circuit) });
      }
    }
  }

  /** Hands back the probes that are not reported. */
  async close(call: Call): Promise<void> {
    const { gate, onError } = this.#options;
    await Promise.all(gate.claims.permits().map((handBack) => handBack(call).catch(onError)));
  }

  #normal(key: string, forced?: CircuitForce): Permit {
    this.#options.observed.observer?.onAdmitted?.(key, false);
    const report = once((outcome, isSlow, call) => this.#record(call, key, outcome, isSlow));
    return this.#permit("closed", { report, forced });
  }

  #probe(
    key: string,
    { claim }: Extract<Entry<HandBack>, { kind: "probe" }>,
    signal: AcquireOptions["signal"],
  ): Permit {
    const { circuits, gate, begin, onError } = this.#options;
    const onAbort = () => void handBack(begin()).catch(onError);
    const report = once(async (outcome, isSlow, call) => {
      signal?.removeEventListener("abort", onAbort);
      gate.claims.remove(key, claim);
      let settled: Answer;
      try {
        await this.#record(call, key, outcome, isSlow);
      } finally {
        settled = await circuits.settle(call, key, outcome, claim);
      }
      return settled;
    });
    const handBack = (call: Call) => report("ignored", false, call);
    claim.permit = handBack;
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort);
    return this.#permit("half-open", { report, isProbe: true });
  }

  async #record(
    call: Call,
    key: string,
    outcome: PermitOutcome,
    isSlow: boolean,
  ): Promise<Answer | undefined> {
    const { circuits, observed } = this.#options;
    let answer: Answer | undefined;
    if (outcome === "success") answer = await circuits.recordSuccess(call, key, isSlow);
    else if (outcome === "failure") answer = await circuits.recordFailure(call, key, isSlow);
    observed.observer?.onResult?.(key, outcome);
    return answer;
  }

  #permit(
    state: CircuitState,
    given: { report?: Report; isProbe?: boolean; retryAfterMs?: number; forced?: CircuitForce },
  ): Permit {
    const { report, isProbe = false, retryAfterMs = 0, forced } = given;
    const { begin, snapshots, rules: { slowCallDurationMs = Infinity } } = this.#options;
    return {
      allowed: report !== undefined,
      state,
      isProbe,
      retryAfterMs,
      ...forced !== undefined && { forced },
      // Wrong arguments reject as well.
      async report(
        outcome: PermitOutcome,
        options?: ResultOptions,
      ): Promise<CircuitState | undefined> {
        const durationMs = resolveReport(outcome, options);
        const isSlow = durationMs !== undefined && durationMs >= slowCallDurationMs;
        const answer = await report?.(outcome, isSlow, begin());
        return answer && snapshots.snapshot(answer.circuit).state;
      },
    };
  }
}

/** A report that does nothing when it is made again. */
function once(report: Report): Report {
  let isDone = false;
  return (outcome, isSlow, call) => {
    if (isDone) return Promise.resolve(undefined);
    isDone = true;
    return report(outcome, isSlow, call);
  };
}
