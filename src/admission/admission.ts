import type { Circuit, Circuits } from "../rules/circuit.ts";
import type { Force } from "../options/force.ts";
import { forcedAt, refusedSince, retryAt, vacantProbes } from "../rules/probing.ts";
import { cursorKey, isList, storedKey } from "../key.ts";
import { assertKey, assertState } from "../options/check.ts";
import { resolveForce } from "../options/force.ts";
import { resolveListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import { resolvePrune } from "../options/prune.ts";
import type {
  CircuitBreakerSnapshot,
  CircuitForce,
  CircuitListing,
  CircuitState,
  ForceOptions,
  ListOptions,
  PruneOptions,
} from "../types.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import { Claims } from "./claims.ts";

/**
 * What a store does with its circuits, wherever they are kept: checks arguments, admits probes,
 * fences their results, and shows circuits in the caller's clock.
 */
export class Admission {
  readonly #circuits: Circuits;
  readonly #rules: CircuitRules;
  readonly #clock: CallerClock;
  readonly #claims: Claims;

  constructor(circuits: Circuits, rules: CircuitRules, clock: CallerClock) {
    this.#circuits = circuits;
    this.#rules = rules;
    this.#clock = clock;
    this.#claims = new Claims(rules.probing?.probeTimeoutMs ?? 0);
  }

  async getState(key: string): Promise<CircuitBreakerSnapshot> {
    assertKey("read circuit", key);
    const form = storedKey(key);
    const stored = typeof form === "string" ? form : await form;
    const begunAt = this.#rules.probing === undefined ? 0 : performance.now();
    const circuit = await this.#circuits.read(stored);
    if (circuit === undefined || circuit.state === "closed" && circuit.forced === undefined) {
      return this.#snapshot(circuit);
    }
    return await this.#admit(stored, circuit, begunAt);
  }

  async #admit(
    stored: string,
    read: Circuit,
    begunAt: number,
  ): Promise<CircuitBreakerSnapshot> {
    const { probing } = this.#rules;
    let circuit = read;
    if (
      probing !== undefined && forcedAt(circuit.forced, circuit.readAt) === undefined &&
      vacantProbes(circuit, circuit.readAt, probing) > 0
    ) {
      const admission = await this.#circuits.claim(stored, begunAt);
      if (admission === undefined) return this.#snapshot(undefined);
      circuit = admission.circuit;
      if (admission.isAdmitted) {
        this.#claims.add(stored, circuit, this.#clock.now());
        return this.#snapshot(circuit);
      }
    }
    return this.#refusal(circuit);
  }

  /** What is said to a caller who is not admitted as a probe; a closed circuit refuses nobody. */
  #refusal(circuit: Circuit): CircuitBreakerSnapshot {
    const { probing } = this.#rules;
    const snapshot = this.#snapshot(circuit);
    const now = this.#clock.now();
    const forced = forcedAt(circuit.forced, circuit.readAt);
    if (snapshot.state === "closed") return snapshot;
    if (probing === undefined) {
      // The policy of each instance admits probes, but none while an operator says no.
      return forced === undefined ? snapshot : { ...snapshot, lastStateChange: now };
    }
    const until = forced === undefined ? retryAt(circuit, probing) : forced.until;
    let callerUntil = until === undefined
      ? now + probing.resetTimeoutMs
      : this.#clock.toCaller(until);
    // The translation is off by up to a round trip; what was left when the server said so is a bound.
    // An open circuit shows its own last change, which must read the same every time.
    if (until !== undefined && (forced !== undefined || circuit.state === "half-open")) {
      callerUntil = Math.min(callerUntil, now + until - circuit.readAt);
    }
    return {
      ...snapshot,
      state: "open",
      lastStateChange: refusedSince(callerUntil, now, probing),
    };
  }

  async recordSuccess(key: string): Promise<CircuitBreakerSnapshot> {
    assertKey("record success", key);
    const form = storedKey(key);
    const stored = typeof form === "string" ? form : await form;
    return this.#snapshot(await this.#circuits.recordSuccess(stored));
  }

  async recordFailure(key: string): Promise<CircuitBreakerSnapshot> {
    assertKey("record failure", key);
    const form = storedKey(key);
    const stored = typeof form === "string" ? form : await form;
    return this.#snapshot(await this.#circuits.recordFailure(stored));
  }

  async transition(key: string, to: CircuitState): Promise<CircuitBreakerSnapshot> {
    assertKey("move circuit", key);
    assertState("move circuit", "to", to);
    const stored = await storedKey(key);
    const round = to === "half-open" ? undefined : this.#claims.take(stored, this.#clock.now());
    return this.#snapshot(
      round === undefined
        ? await this.#circuits.transition(stored, to)
        : await this.#circuits.settle(stored, to, round),
    );
  }

  async reset(key: string): Promise<void> {
    assertKey("reset circuit", key);
    await this.#circuits.reset(await storedKey(key));
  }

  async peek(
    keys: string | readonly string[],
  ): Promise<CircuitBreakerSnapshot | CircuitBreakerSnapshot[]> {
    if (!isList(keys)) {
      assertKey("read circuit", keys);
      return this.#snapshot(await this.#circuits.read(await storedKey(keys)));
    }
    const stored = await Promise.all(keys.map((key) => {
      assertKey("read circuit", key);
      return storedKey(key);
    }));
    const circuits = await this.#circuits.readMany([...new Set(stored)]);
    const found = new Map(circuits.map((circuit) => [circuit.key, circuit]));
    return stored.map((key) => this.#snapshot(found.get(key)));
  }

  async list(options: ListOptions): Promise<CircuitListing[]> {
    const resolved = resolveListOptions(options);
    if (resolved.after !== undefined) resolved.after = await cursorKey(resolved.after);
    const circuits = await this.#circuits.list(resolved);
    return circuits.map((circuit) => ({
      key: circuit.key,
      ...this.#snapshot(circuit),
      ...this.#forced(circuit),
    }));
  }

  async force(
    key: string,
    state: "open" | "closed",
    options: ForceOptions,
  ): Promise<CircuitBreakerSnapshot> {
    assertKey("force circuit", key);
    return await this.#force(key, resolveForce(state, options));
  }

  async release(key: string): Promise<CircuitBreakerSnapshot> {
    assertKey("release circuit", key);
    return await this.#force(key, undefined);
  }

  async prune(options: PruneOptions): Promise<number> {
    const { idleMs, limit } = resolvePrune(options);
    return await this.#circuits.prune(idleMs, limit, false);
  }

  async #force(key: string, force: Force | undefined): Promise<CircuitBreakerSnapshot> {
    return this.#snapshot(await this.#circuits.force(await storedKey(key), force));
  }

  #snapshot(circuit: Circuit | undefined): CircuitBreakerSnapshot {
    if (circuit === undefined) {
      return {
        state: "closed",
        failureCount: 0,
        successCount: 0,
        lastFailureTime: 0,
        lastStateChange: 0,
      };
    }
    const forced = forcedAt(circuit.forced, circuit.readAt);
    return {
      state: forced?.state ?? circuit.state,
      failureCount: circuit.failureCount,
      successCount: circuit.successCount,
      lastFailureTime: this.#clock.toCaller(circuit.lastFailureTime),
      lastStateChange: this.#clock.toCaller(forced?.at ?? circuit.lastStateChange),
    };
  }

  #forced(circuit: Circuit): { forced?: CircuitForce } {
    const forced = forcedAt(circuit.forced, circuit.readAt);
    if (forced === undefined) return {};
    const { state, at, until, reason } = forced;
    return {
      forced: {
        state,
        since: this.#clock.toCaller(at),
        ...until !== undefined && { until: this.#clock.toCaller(until) },
        ...reason !== undefined && { reason },
      },
    };
  }
}
