import type { Circuit, Round } from "../circuit.ts";
import { observedKeyOf } from "../key.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { PermitOutcome } from "../permit.ts";
import type {
  Admin,
  Answer,
  Calls,
  ClaimAnswer,
  KnownCalls,
  KnownCircuit,
  ListedCircuit,
  PruneRequest,
} from "../ports.ts";
import { vacantProbes } from "../rules/probing.ts";
import type { Call } from "../time/call.ts";
import type { CircuitState } from "../types.ts";

/**
 * Judges circuits of its own beside those of enforcing instances, and refuses no call. A call finds every
 * circuit closed. The result of a call whose circuit would admit a probe by then counts as that of the
 * probe. What operators do and read concerns the circuits of the enforcing instances; `list` has both.
 */
export class ObservedCircuits implements Calls, Admin {
  /** What memory answers of the circuits that it judges, where it answers anything. */
  readonly quick: KnownCalls | undefined;
  readonly #circuits: Calls & Admin;
  readonly #rules: CircuitRules;

  constructor(circuits: Calls & Admin, rules: CircuitRules, quick: KnownCalls | undefined) {
    this.#circuits = circuits;
    this.#rules = rules;
    this.quick = quick && new ObservedKnown(quick);
  }

  async read(call: Call, key: string): Promise<Answer> {
    return shown(await this.#circuits.read(call, observedKeyOf(key)));
  }

  async recordSuccess(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    const observed = observedKeyOf(key);
    const answer = await this.#circuits.recordSuccess(call, observed, isSlow);
    return shown(await this.#probed(call, answer, "success"));
  }

  async recordFailure(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    const observed = observedKeyOf(key);
    const answer = await this.#circuits.recordFailure(call, observed, isSlow);
    return shown(await this.#probed(call, answer, "failure"));
  }

  async transition(call: Call, key: string, to: CircuitState): Promise<Answer> {
    return shown(await this.#circuits.transition(call, observedKeyOf(key), to));
  }

  async claim(call: Call, key: string, patienceMs: number): Promise<ClaimAnswer> {
    const answer = await this.#circuits.claim(call, observedKeyOf(key), patienceMs);
    return { ...answer, ...shown(answer) };
  }

  async settle(call: Call, key: string, outcome: PermitOutcome, round: Round): Promise<Answer> {
    return shown(await this.#circuits.settle(call, observedKeyOf(key), outcome, round));
  }

  readMany(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    return this.#circuits.readMany(call, keys);
  }

  list(call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]> {
    return this.#circuits.list(call, options);
  }

  force(call: Call, key: string, force: Force): Promise<Answer> {
    return this.#circuits.force(call, key, force);
  }

  reset(call: Call, key: string, act: Act): Promise<Answer> {
    return this.#circuits.reset(call, key, act);
  }

  prune(call: Call, request: PruneRequest): Promise<number> {
    return this.#circuits.prune(call, request);
  }

  /** Applies a result as that of a probe, where the circuit would admit one. */
  async #probed(
    call: Call,
    recorded: Answer<Circuit>,
    outcome: "success" | "failure",
  ): Promise<Answer<Circuit>> {
    const { circuit } = recorded;
    const { probing } = this.#rules;
    if (circuit.state === "closed" || probing === undefined) return recorded;
    if (vacantProbes(circuit, circuit.readAt, probing, 0) === 0) return recorded;
    const claimed = await this.#circuits.claim(call, circuit.key, 0);
    if (!claimed.isAdmitted || claimed.circuit === undefined) return recorded;
    await this.#circuits.settle(call, circuit.key, outcome, claimed.circuit);
    return recorded;
  }
}

/** Memory's answers of circuits that are only judged: each call passes. */
class ObservedKnown implements KnownCalls {
  readonly #known: KnownCalls;

  constructor(known: KnownCalls) {
    this.#known = known;
  }

  known(key: string): KnownCircuit | undefined | "unknown" {
    return this.#known.known(observedKeyOf(key)) === "unknown" ? "unknown" : undefined;
  }

  /** The result of a call can be that of a probe where the circuit is not closed. */
  countSuccess(key: string, isSlow: boolean): boolean {
    const observed = observedKeyOf(key);
    const circuit = this.#known.known(observed);
    if (circuit === "unknown" || circuit !== undefined && circuit.state !== "closed") return false;
    return this.#known.countSuccess(observed, isSlow);
  }
}

/** What admission needs of circuits that are only judged. */
export function observed(
  circuits: ObservedCircuits,
  rules: CircuitRules,
): { circuits: ObservedCircuits; rules: CircuitRules; quick: KnownCalls | undefined } {
  return { circuits, rules: unrefusedRules(rules), quick: circuits.quick };
}

/** The rules by which calls are admitted where none is refused: without a ramp. */
function unrefusedRules(rules: CircuitRules): CircuitRules {
  const { probing } = rules;
  return { ...rules, probing: probing && { ...probing, rampUpMs: undefined } };
}

/** A circuit that refuses nothing. */
function shown<Found extends Circuit | undefined>(answer: Answer<Found>): Answer<Found> {
  const { circuit, source } = answer;
  if (circuit === undefined || circuit.state === "closed" && circuit.forced === undefined) {
    return answer;
  }
  return { circuit: { ...circuit, state: "closed", forced: undefined }, source };
}
