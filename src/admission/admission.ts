import type { Circuit } from "../circuit.ts";
import { type CircuitKey, cursorKey, storedKeyOf } from "../key.ts";
import { assertKey, assertState } from "../options/check.ts";
import { type Force, resolveForce, resolveRelease, resolveReset } from "../options/force.ts";
import { resolveListOptions } from "../options/list.ts";
import { resolveAcquire } from "../options/permit.ts";
import { resolvePrune } from "../options/prune.ts";
import { resolveDuration } from "../options/result.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { AcquireOptions, Permit } from "../permit.ts";
import type { Admin, Calls, KnownCalls, Observed } from "../ports.ts";
import type { QuickCalls } from "../quick_calls.ts";
import type { Call } from "../time/call.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type { CircuitListing } from "../listing_types.ts";
import type { ActOptions, ForceOptions, ListOptions, PruneOptions } from "../operator_types.ts";
import type { CircuitBreakerSnapshot, CircuitState, ResultOptions } from "../types.ts";
import { Gate } from "./gate.ts";
import { type HandBack, Permits, type Refuse } from "./permits.ts";
import { QuickAdmission } from "./quick_admission.ts";
import { Snapshots } from "./snapshots.ts";

/** What admission needs. */
export interface AdmissionOptions {
  circuits: Calls & Admin;
  rules: CircuitRules;
  clock: CallerClock;
  /** Begins a call. */
  begin: () => Call;
  /** Random numbers from 0 to below 1, by default those of the runtime. */
  random?: () => number;
  /** Is called with errors of results that no caller waits for. Memory has none. */
  onError?: (error: unknown) => void;
  /** Is called with each request that a circuit refused. */
  onRefused: (circuit: Circuit) => void;
  observed: Observed;
  /** What memory answers without waiting, where it answers anything. */
  quick?: KnownCalls | undefined;
}

/**
 * The methods of a store, on a database or in memory. It checks the arguments, begins the call that
 * the floors below get, admits probes, fences their results, and shows circuits in the caller's
 * clock.
 */
export class Admission {
  readonly #circuits: Calls & Admin;
  readonly #begin: () => Call;
  readonly #gate: Gate<HandBack>;
  readonly #permits: Permits;
  readonly #snapshots: Snapshots;
  readonly #observed: Observed;
  readonly #refuse: Refuse;
  /** From which duration on a call is slow. */
  readonly #slowMs: number;
  /** The calls that take no waiting, where there are any. */
  readonly quickCalls: QuickCalls | undefined;

  constructor(options: AdmissionOptions) {
    const { circuits, rules, clock, begin, random = Math.random, onError = () => {} } = options;
    const { observed, onRefused } = options;
    this.#circuits = circuits;
    this.#begin = begin;
    this.#observed = observed;
    const refuse: Refuse = this.#refuse = (circuit, state) => {
      onRefused(circuit);
      observed.observer?.onRefused?.(circuit.key, state);
    };
    this.#slowMs = rules.slowCallDurationMs ?? Infinity;
    this.#gate = new Gate({ circuits, rules, random });
    const snapshots = this.#snapshots = new Snapshots(rules, clock);
    const gate = this.#gate;
    this.#permits = new Permits({
      circuits,
      rules,
      gate,
      snapshots,
      begin,
      onError,
      refuse,
      observed,
    });
    const { quick: known } = options;
    this.quickCalls = known && new QuickAdmission(known, gate, this, observed, this.#slowMs);
  }

  async getState(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    assertKey("read circuit", key);
    const call = this.#begin();
    const form = storedKeyOf(key);
    const stored = typeof form === "string" ? form : await form;
    const { circuit } = await this.#circuits.read(call, stored);
    if (!this.#gate.isClear(circuit)) return await this.#enter(call, stored, circuit);
    this.#observed.observer?.onAdmitted?.(stored, false);
    return this.#snapshots.snapshot(circuit);
  }

  async #enter(
    call: Call,
    stored: string,
    read: Circuit | undefined,
  ): Promise<CircuitBreakerSnapshot> {
    const entry = await this.#gate.enter(call, stored, read, false);
    switch (entry.kind) {
      case "ramp":
        this.#refuse(entry.circuit, "closed");
        return this.#snapshots.rampRefusal(entry.circuit);
      case "refused": {
        const refusal = this.#snapshots.refusal(entry.circuit, entry.patienceMs);
        // Without probes of the store's own, a half-open circuit leaves it to the policy whom to admit.
        if (refusal.state === "open") {
          this.#refuse(entry.circuit, this.#snapshots.snapshot(entry.circuit).state);
        }
        return refusal;
      }
      default:
        this.#observed.observer?.onAdmitted?.(stored, entry.kind === "probe");
        return this.#snapshots.snapshot(entry.circuit);
    }
  }

  async acquire(key: CircuitKey, options: AcquireOptions | undefined): Promise<Permit> {
    assertKey("acquire permit", key);
    const signal = resolveAcquire(options);
    const call = this.#begin();
    const form = storedKeyOf(key);
    const stored = typeof form === "string" ? form : await form;
    const { circuit } = await this.#circuits.read(call, stored);
    return await this.#permits.acquire(call, stored, circuit, signal);
  }

  /** Hands back the probes of permits that are not reported. Never rejects. */
  close(call: Call): Promise<void> {
    return this.#permits.close(call);
  }

  async recordSuccess(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot> {
    assertKey("record success", key);
    const isSlow = options !== undefined && this.#isSlow("record success", options);
    const call = this.#begin();
    const form = storedKeyOf(key);
    const stored = typeof form === "string" ? form : await form;
    const { circuit } = await this.#circuits.recordSuccess(call, stored, isSlow);
    this.#observed.observer?.onResult?.(stored, "success");
    return this.#snapshots.snapshot(circuit);
  }

  async recordFailure(key: CircuitKey, options?: ResultOptions): Promise<CircuitBreakerSnapshot> {
    assertKey("record failure", key);
    const isSlow = options !== undefined && this.#isSlow("record failure", options);
    const call = this.#begin();
    const form = storedKeyOf(key);
    const stored = typeof form === "string" ? form : await form;
    const { circuit } = await this.#circuits.recordFailure(call, stored, isSlow);
    this.#observed.observer?.onResult?.(stored, "failure");
    return this.#snapshots.snapshot(circuit);
  }

  #isSlow(action: string, options: ResultOptions): boolean {
    const durationMs = resolveDuration(action, options);
    return durationMs !== undefined && durationMs >= this.#slowMs;
  }

  async transition(key: CircuitKey, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    assertKey("move circuit", key);
    assertState("move circuit", "to", to);
    const call = this.#begin();
    const stored = await storedKeyOf(key);
    const round = to === "half-open" ? undefined : this.#gate.claims.take(stored);
    const { circuit } = round === undefined
      ? await this.#circuits.transition(call, stored, to)
      : await this.#circuits.settle(call, stored, to === "closed" ? "success" : "failure", round);
    return this.#snapshots.snapshot(circuit);
  }

  async reset(key: CircuitKey, options: ActOptions): Promise<void> {
    assertKey("reset circuit", key);
    const act = resolveReset(options);
    const call = this.#begin();
    await this.#circuits.reset(call, await storedKeyOf(key), act);
  }

  async peek(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    assertKey("read circuit", key);
    const call = this.#begin();
    const { circuit } = await this.#circuits.read(call, await storedKeyOf(key));
    return this.#snapshots.snapshot(circuit);
  }

  async peekMany(keys: readonly CircuitKey[]): Promise<CircuitBreakerSnapshot[]> {
    for (const key of keys) assertKey("read circuits", key);
    const call = this.#begin();
    const stored = await Promise.all(keys.map(storedKeyOf));
    const circuits = await this.#circuits.readMany(call, [...new Set(stored)]);
    const found = new Map(circuits.map((circuit) => [circuit.key, circuit]));
    return stored.map((key) => this.#snapshots.snapshot(found.get(key)));
  }

  async list(options: ListOptions): Promise<CircuitListing[]> {
    const resolved = resolveListOptions(options);
    const call = this.#begin();
    if (resolved.after !== undefined) resolved.after = await cursorKey(resolved.after);
    const circuits = await this.#circuits.list(call, resolved);
    return circuits.map((circuit) => this.#snapshots.listing(circuit));
  }

  async force(
    key: CircuitKey,
    state: "open" | "closed",
    options: ForceOptions,
  ): Promise<CircuitBreakerSnapshot> {
    assertKey("force circuit", key);
    return await this.#force(key, resolveForce(state, options));
  }

  async release(key: CircuitKey, options: ActOptions): Promise<CircuitBreakerSnapshot> {
    assertKey("release circuit", key);
    return await this.#force(key, resolveRelease(options));
  }

  async #force(key: CircuitKey, force: Force): Promise<CircuitBreakerSnapshot> {
    const call = this.#begin();
    const { circuit } = await this.#circuits.force(call, await storedKeyOf(key), force);
    return this.#snapshots.snapshot(circuit);
  }

  async prune(options: PruneOptions): Promise<number> {
    const request = { ...resolvePrune(options), isElected: false };
    return await this.#circuits.prune(this.#begin(), request);
  }
}
