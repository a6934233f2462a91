import type { Circuit } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import { forcedAt } from "../rules/forcing.ts";
import { refusedSince, retryAt } from "../rules/probing.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type { CircuitBreakerSnapshot, CircuitListing } from "../types.ts";

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
  listing(circuit: Circuit): CircuitListing {
    const listing = { key: circuit.key, storedKey: circuit.key, ...this.snapshot(circuit) };
    const forced = forcedAt(circuit.forced, circuit.readAt);
    if (forced === undefined) return listing;
    const { state, at, until, reason } = forced;
    return {
      ...listing,
      forced: {
        state,
        since: this.#clock.toCaller(at),
        ...until !== undefined && { until: this.#clock.toCaller(until) },
        ...reason !== undefined && { reason },
      },
    };
  }
}
