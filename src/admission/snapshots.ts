import type { Circuit, ForcedState } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { ListedCircuit } from "../ports.ts";
import { forcedAt } from "../rules/forcing.ts";
import { refusedSince, retryAt } from "../rules/probing.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type { CircuitForce, CircuitListing } from "../operator_types.ts";
import type { CircuitBreakerSnapshot } from "../types.ts";

/** Shows circuits in the caller's clock. */
export class Snapshots {
  readonly #rules: CircuitRules;
  readonly #clock: CallerClock;

  constructor(rules: CircuitRules, clock: CallerClock) {
    this.#rules = rules;
    this.#clock = clock;
  }

  /** A circuit as the fleet sees it; `undefined` is one without a row. */
  snapshot(circuit: Circuit | undefined): CircuitBreakerSnapshot {
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

  /** The snapshot for a caller that gets no probe. A closed circuit refuses no caller. */
  refusal(circuit: Circuit): CircuitBreakerSnapshot {
    const { probing } = this.#rules;
    const snapshot = this.snapshot(circuit);
    const now = this.#clock.now();
    const forced = forcedAt(circuit.forced, circuit.readAt);
    if (snapshot.state === "closed") return snapshot;
    if (probing === undefined) {
      // The policy of each instance admits probes, but none while an operator forces the state.
      return forced === undefined ? snapshot : { ...snapshot, lastStateChange: now };
    }
    const until = forced === undefined ? retryAt(circuit, probing) : forced.until;
    let callerUntil = until === undefined
      ? now + probing.resetTimeoutMs
      : this.#clock.toCaller(until);
    // The offset of the clocks can be wrong by a round trip. The time that was left when the server
    // answered is a bound. An open circuit shows its own last change, the same at every read.
    if (until !== undefined && (forced !== undefined || circuit.state === "half-open")) {
      callerUntil = Math.min(callerUntil, now + until - circuit.readAt);
    }
    return {
      ...snapshot,
      state: "open",
      lastStateChange: refusedSince(callerUntil, now, probing),
    };
  }

  /** A circuit as it is listed. */
  listing(circuit: ListedCircuit): CircuitListing {
    const { key, version, openedAt, readAt, lastCause = "", lastActor = "" } = circuit;
    const forced = forcedAt(circuit.forced, readAt);
    const retryAt = this.#retryAt(circuit);
    return {
      key,
      storedKey: key,
      ...this.snapshot(circuit),
      version,
      openedAt: this.#clock.toCaller(openedAt),
      ...retryAt !== undefined && { retryAt: this.#clock.toCaller(retryAt) },
      ...forced !== undefined && { forced: this.#forced(forced) },
      cause: lastCause as CircuitListing["cause"],
      actor: lastActor,
    };
  }

  /** When a request may be admitted that is refused now, by the clock that decides. */
  #retryAt(circuit: Circuit): number | undefined {
    const { probing } = this.#rules;
    const forced = forcedAt(circuit.forced, circuit.readAt);
    if (forced !== undefined) return forced.state === "open" ? forced.until : undefined;
    if (circuit.state === "closed" || probing === undefined) return undefined;
    return retryAt(circuit, probing);
  }

  #forced({ state, at, until, reason, by }: ForcedState): CircuitForce {
    return {
      state,
      since: this.#clock.toCaller(at),
      ...until !== undefined && { until: this.#clock.toCaller(until) },
      ...reason !== undefined && { reason },
      ...by !== undefined && { by },
    };
  }
}
