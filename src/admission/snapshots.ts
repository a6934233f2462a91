import type { Circuit, ForcedState } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { ListedCircuit } from "../ports.ts";
import { forcedAt } from "../rules/forcing.ts";
import { refusedSince, retryAt } from "../rules/probing.ts";
import { standingLabels } from "../rules/voting.ts";
import type { CallerClock } from "../time/caller_clock.ts";
import type { CircuitForce, CircuitListing } from "../listing_types.ts";
import type { CircuitBreakerSnapshot } from "../types.ts";

/** After how many milliseconds a caller may ask again that a circuit refused while it ramps up. */
export const RAMP_WAIT_MS = 1000;

/** After how many milliseconds it is worth asking again where nothing says how long a circuit stays open. */
const UNKNOWN_WAIT_MS = 1000;

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

  /** After how many milliseconds it is worth asking again, for a circuit that is not closed. */
  waitMs(circuit: Circuit, patienceMs: number): number {
    const at = this.#admitsAt(circuit, patienceMs);
    return at === undefined
      ? this.#rules.probing?.resetTimeoutMs ?? UNKNOWN_WAIT_MS
      : Math.max(1, Math.ceil(at - circuit.readAt));
  }

  /** The snapshot for a caller that a circuit refuses while it ramps up. */
  rampRefusal(circuit: Circuit): CircuitBreakerSnapshot {
    const now = this.#clock.now();
    const lastStateChange = refusedSince(now + RAMP_WAIT_MS, now, this.#rules.probing!);
    return { ...this.snapshot(circuit), state: "open", lastStateChange };
  }

  /**
   * The snapshot for a caller that gets no probe of a circuit that is not closed. `patienceMs` is for
   * how much longer than others the instance waits.
   */
  refusal(circuit: Circuit, patienceMs: number): CircuitBreakerSnapshot {
    const { probing } = this.#rules;
    const snapshot = this.snapshot(circuit);
    const now = this.#clock.now();
    const forced = forcedAt(circuit.forced, circuit.readAt);
    if (probing === undefined) {
      // The policy of each instance admits probes, but none while an operator forces the state.
      return forced === undefined ? snapshot : { ...snapshot, lastStateChange: now };
    }
    const until = this.#admitsAt(circuit, patienceMs);
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

  /** When a request may be admitted that is refused now; `undefined` where that is not known. */
  #admitsAt(circuit: Circuit, patienceMs: number): number | undefined {
    const at = this.#retryAt(circuit);
    // Others may claim by now, and this instance waits.
    return at !== undefined && at <= circuit.readAt ? at + patienceMs : at;
  }

  /** A circuit as it is listed. */
  listing(circuit: ListedCircuit): CircuitListing {
    const { key, version, openedAt, readAt, lastCause = "", lastActor = "", lastReason } = circuit;
    const forced = forcedAt(circuit.forced, readAt);
    const retryAt = this.#retryAt(circuit);
    const votes = standingLabels(circuit.details.votes, readAt);
    return {
      key,
      storedKey: key,
      ...this.snapshot(circuit),
      version,
      openedAt: this.#clock.toCaller(openedAt),
      ...retryAt !== undefined && { retryAt: this.#clock.toCaller(retryAt) },
      ...forced !== undefined && { forced: this.#forced(forced) },
      votes,
      refusedCount: circuit.refusedCount,
      cause: lastCause as CircuitListing["cause"],
      actor: lastActor,
      ...lastReason !== undefined && { reason: lastReason },
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

  /** What an operator forces on a circuit, `undefined` for nothing. */
  force(circuit: Circuit): CircuitForce | undefined {
    const forced = forcedAt(circuit.forced, circuit.readAt);
    return forced && this.#forced(forced);
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
