import type { Circuit } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { Calls, KnownCircuit } from "../ports.ts";
import { forcedAt } from "../rules/forcing.ts";
import { isCurrentRound } from "../rules/moving.ts";
import { isRoundDue, vacantProbes } from "../rules/probing.ts";
import { admittedShare } from "../rules/ramping.ts";
import type { Call } from "../time/call.ts";
import { type Claim, Claims } from "./claims.ts";

/**
 * What becomes of a request.
 * - `pass`: the circuit is closed.
 * - `probe`: the request is a probe, whose result is owed.
 * - `ramp`: the circuit is closed and refuses the request while it ramps up.
 * - `refused`: the circuit is not closed. `patienceMs` is for how much longer than others this
 *   instance waits before it claims a probe.
 */
export type Entry<Permit> =
  | { readonly kind: "pass"; readonly circuit: Circuit | undefined }
  | { readonly kind: "probe"; readonly circuit: Circuit; readonly claim: Claim<Permit> }
  | { readonly kind: "ramp"; readonly circuit: Circuit }
  | { readonly kind: "refused"; readonly circuit: Circuit; readonly patienceMs: number };

/** What a gate needs. */
export interface GateOptions {
  readonly circuits: Calls;
  readonly rules: CircuitRules;
  /** Random numbers from 0 to below 1. */
  readonly random: () => number;
}

/** Admits requests: all of a closed circuit, some while it ramps up, and probes of an open one. */
export class Gate<Permit> {
  /** The probes whose results this instance owes. */
  readonly claims: Claims<Permit> = new Claims();
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Whether a circuit admits every request, as far as it takes no statement to know. */
  isClear(circuit: KnownCircuit | undefined): boolean {
    if (circuit === undefined) return true;
    return circuit.state === "closed" && circuit.forced === undefined && this.#isRampedUp(circuit);
  }

  /** Whether a closed circuit admitted all calls when it was read, and so does ever since. */
  #isRampedUp(circuit: KnownCircuit): boolean {
    const { rules } = this.#options;
    if (rules.probing?.rampUpMs === undefined) return true;
    const { readAt, lastStateChange } = circuit;
    if (readAt === undefined) return lastStateChange === 0;
    return admittedShare(circuit, readAt, rules) === 1;
  }

  /** Decides on a request, given the circuit as it was read. */
  async enter(
    call: Call,
    key: string,
    read: Circuit | undefined,
    isOfPermit: boolean,
  ): Promise<Entry<Permit>> {
    const { circuits } = this.#options;
    let entry = this.#judge(key, read);
    // Again where the round that made this call wait has become this instance's own meanwhile.
    for (let claims = 0; entry.kind === "claim"; claims++) {
      const { patienceMs } = entry;
      const { circuit, isAdmitted } = await circuits.claim(call, key, patienceMs);
      if (circuit !== undefined && isAdmitted) {
        return { kind: "probe", circuit, claim: this.claims.add(key, circuit, isOfPermit) };
      }
      entry = this.#judge(key, circuit);
      if (entry.kind === "claim" && (patienceMs === 0 || claims > 0)) {
        return { kind: "refused", circuit: circuit!, patienceMs };
      }
    }
    return entry;
  }

  /** Decides on a request as far as it takes no claim. */
  #judge(
    key: string,
    circuit: Circuit | undefined,
  ): Exclude<Entry<Permit>, { kind: "probe" }> | { kind: "claim"; patienceMs: number } {
    if (circuit === undefined) return { kind: "pass", circuit };
    const { probing } = this.#options.rules;
    const forced = forcedAt(circuit.forced, circuit.readAt);
    if (forced?.state === "closed") return { kind: "pass", circuit };
    if (forced !== undefined || circuit.state !== "closed") {
      const patienceMs = this.#patienceFor(key, circuit);
      return probing === undefined || forced !== undefined ||
          vacantProbes(circuit, circuit.readAt, probing, patienceMs) === 0
        ? { kind: "refused", circuit, patienceMs }
        : { kind: "claim", patienceMs };
    }
    const share = admittedShare(circuit, circuit.readAt, this.#options.rules);
    return { kind: share === 1 || this.#options.random() < share ? "pass" : "ramp", circuit };
  }

  /**
   * For how much longer than others this instance waits for a new round: one lease where it owes a
   * claim. It may join the round of its own claims at once.
   */
  #patienceFor(key: string, circuit: Circuit): number {
    const { rules: { probing } } = this.#options;
    const owed = this.claims.roundOf(key);
    if (probing === undefined || owed === undefined) return 0;
    const isOwnRound = isCurrentRound(circuit, owed) &&
      !isRoundDue(circuit, circuit.readAt, probing);
    return isOwnRound ? 0 : probing.probeTimeoutMs;
  }
}
