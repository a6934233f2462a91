import type { Circuit } from "../circuit.ts";
import { type CircuitKey, cursorKey, storedKeyOf } from "../key.ts";
import { assertKey, assertState } from "../options/check.ts";
import { type Force, resolveForce, resolveRelease, resolveReset } from "../options/force.ts";
import { resolveListOptions } from "../options/list.ts";
import { resolvePrune } from "../options/prune.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { Admin, Calls } from "../ports.ts";
import { forcedAt } from "../rules/forcing.ts";
import { vacantProbes } from "../rules/probing.ts";
import type { Call } from "../time/call.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type {
  ActOptions,
  CircuitListing,
  ForceOptions,
  ListOptions,
  PruneOptions,
} from "../operator_types.ts";
import type { CircuitBreakerSnapshot, CircuitState } from "../types.ts";
import { Claims } from "./claims.ts";
import { Snapshots } from "./snapshots.ts";

/** What admission needs. */
export interface AdmissionOptions {
  circuits: Calls & Admin;
  rules: CircuitRules;
  clock: CallerClock;
  /** Begins a call. */
  begin: () => Call;
}

/**
 * The methods of a store, on a database or in memory. It checks the arguments, begins the call that
 * the floors below get, admits probes, fences their results, and shows circuits in the caller's
 * clock.
 */
export class Admission {
  readonly #circuits: Calls & Admin;
  readonly #rules: CircuitRules;
  readonly #clock: CallerClock;
  readonly #begin: () => Call;
  readonly #claims: Claims;
  readonly #snapshots: Snapshots;

  constructor({ circuits, rules, clock, begin }: AdmissionOptions) {
    this.#circuits = circuits;
    this.#rules = rules;
    this.#clock = clock;
    this.#begin = begin;
    this.#claims = new Claims(rules.probing?.probeTimeoutMs ?? 0);
    this.#snapshots = new Snapshots(rules, clock);
  }

  async getState(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    assertKey("read circuit", key);
    const call = this.#begin();
    const form = storedKeyOf(key);
    const stored = typeof form === "string" ? form : await form;
    const { circuit } = await this.#circuits.read(call, stored);
    return circuit === undefined || circuit.state === "closed" && circuit.forced === undefined
      ? this.#snapshots.snapshot(circuit)
      : await this.#admit(call, stored, circuit);
  }

  async #admit(call: Call, stored: string, read: Circuit): Promise<CircuitBreakerSnapshot> {
    const { probing } = this.#rules;
    if (
      probing === undefined || forcedAt(read.forced, read.readAt) !== undefined ||
      vacantProbes(read, read.readAt, probing) === 0
    ) {
      return this.#snapshots.refusal(read);
    }
    const { circuit, isAdmitted } = await this.#circuits.claim(call, stored);
    if (circuit === undefined) return this.#snapshots.snapshot(undefined);
    if (!isAdmitted) return this.#snapshots.refusal(circuit);
    this.#claims.add(stored, circuit, this.#clock.now());
    return this.#snapshots.snapshot(circuit);
  }

  async recordSuccess(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    assertKey("record success", key);
    const call = this.#begin();
    const form = storedKeyOf(key);
    const stored = typeof form === "string" ? form : await form;
    return this.#snapshots.snapshot((await this.#circuits.recordSuccess(call, stored)).circuit);
  }

  async recordFailure(key: CircuitKey): Promise<CircuitBreakerSnapshot> {
    assertKey("record failure", key);
    const call = this.#begin();
    const form = storedKeyOf(key);
    const stored = typeof form === "string" ? form : await form;
    return this.#snapshots.snapshot((await this.#circuits.recordFailure(call, stored)).circuit);
  }

  async transition(key: CircuitKey, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    assertKey("move circuit", key);
    assertState("move circuit", "to", to);
    const call = this.#begin();
    const stored = await storedKeyOf(key);
    const round = to === "half-open" ? undefined : this.#claims.take(stored, this.#clock.now());
    const { circuit } = round === undefined
      ? await this.#circuits.transition(call, stored, to)
      : await this.#circuits.settle(call, stored, to, round);
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
