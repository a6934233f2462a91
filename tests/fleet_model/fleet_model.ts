/** What a fleet of instances does with one circuit: who is refused, who probes, who votes. */

import type { CircuitBreakerSnapshot, CircuitState, PermitOutcome } from "../../mod.ts";
import { CircuitModel, type ModelOptions, type Round } from "./circuit_model.ts";

/** How often a vote is renewed by calls. */
const RENEWAL_MS = 10_000;

/** A probe whose result an instance owes. */
export interface Claim {
  readonly circuit: CircuitModel;
  readonly round: Round;
  readonly isOfPermit: boolean;
}

/** What a request for the circuit gets. */
export interface Entry {
  readonly kind: "pass" | "probe" | "refused";
  /** The circuit that decides: the fleet's, or the instance's own. */
  readonly circuit: CircuitModel;
  readonly claim?: Claim;
  readonly snapshot: CircuitBreakerSnapshot;
  /** For how long a refused caller should wait. */
  readonly waitMs: number;
}

/** What an instance remembers. It is lost when the instance crashes. */
export class InstanceModel {
  readonly label: string;
  /** The circuit by its own results alone, with a quorum. */
  readonly own: CircuitModel;
  claims: Claim[] = [];
  /** Whether it has results, and so follows the fleet's circuit. */
  hasBallot = false;
  /** Whether it has the circuit open for itself. */
  isOpen = false;
  /** How often the fleet's circuit had been zeroed when the instance last heard of it. */
  zeroings: number | undefined;
  /** When its vote was last stored, and whether that may still stand. */
  votedAt: number | undefined;
  mayStand = false;

  constructor(label: string, options: ModelOptions) {
    this.label = label;
    this.own = new CircuitModel({ ...options, quorum: undefined, trip: "store" }, true);
  }
}

export class FleetModel {
  readonly #options: ModelOptions;
  readonly circuit: CircuitModel;

  constructor(options: ModelOptions) {
    this.#options = options;
    const opensByRecords = options.trip === "store" && options.quorum === undefined;
    this.circuit = new CircuitModel(options, opensByRecords);
  }

  /** A request asks for admission. */
  ask(instance: InstanceModel, isOfPermit: boolean, now: number): Entry {
    this.circuit.notice(now);
    const circuit = this.#shown(instance, now);
    const entry = this.#enter(instance, circuit, isOfPermit, now);
    this.#renew(instance, now);
    return entry;
  }

  peek(instance: InstanceModel, now: number): CircuitBreakerSnapshot {
    this.circuit.notice(now);
    return this.#answer(instance, now);
  }

  /** What an instance answers. A vote that the call renews changes only later answers. */
  #answer(instance: InstanceModel, now: number): CircuitBreakerSnapshot {
    const snapshot = this.#shown(instance, now).snapshot(now);
    this.#renew(instance, now);
    return snapshot;
  }

  #enter(
    instance: InstanceModel,
    circuit: CircuitModel,
    isOfPermit: boolean,
    now: number,
  ): Entry {
    const snapshot = circuit.snapshot(now);
    if (snapshot.state === "closed") return { kind: "pass", circuit, snapshot, waitMs: 0 };
    const patienceMs = this.patienceOf(instance, circuit, now);
    if (circuit.vacancies(now, patienceMs) === 0) {
      const waitMs = this.#waitOf(circuit, patienceMs, now);
      return { kind: "refused", circuit, snapshot, waitMs };
    }
    const claim = this.admit(instance, circuit, isOfPermit, now);
    return { kind: "probe", circuit, claim, snapshot: circuit.snapshot(now), waitMs: 0 };
  }

  /** A request of an instance became a probe. The claims that it owes are of one round. */
  admit(instance: InstanceModel, circuit: CircuitModel, isOfPermit: boolean, now: number): Claim {
    circuit.admit(now);
    const claim = { circuit, round: circuit.round, isOfPermit };
    instance.claims = [...instance.claims.filter(({ round }) => round === claim.round), claim];
    return claim;
  }

  /** An instance that owes the result of an earlier round waits for one more lease. */
  patienceOf({ claims: [owed] }: InstanceModel, circuit: CircuitModel, now: number): number {
    if (owed === undefined) return 0;
    const isOwnRound = circuit.state === "half-open" && circuit.round === owed.round &&
      !circuit.isRoundDue(now, 0);
    return isOwnRound ? 0 : this.#options.probeTimeoutMs;
  }

  #waitOf(circuit: CircuitModel, patienceMs: number, now: number): number {
    if (circuit.isForced(now)) {
      const { until } = circuit.force!;
      return until === Infinity ? this.#options.resetTimeoutMs : until - now;
    }
    const at = circuit.retryAt();
    return Math.max(1, at - now + (at <= now ? patienceMs : 0));
  }

  record(
    instance: InstanceModel,
    outcome: "success" | "failure",
    now: number,
  ): CircuitBreakerSnapshot {
    this.circuit.record(outcome, now);
    if (this.#options.quorum === undefined) return this.circuit.snapshot(now);
    // Successes alone make no threshold due.
    if (outcome === "success" && !instance.hasBallot) return this.circuit.snapshot(now);
    this.#follow(instance, now, true);
    if (this.#decides(now)) return this.circuit.snapshot(now);
    instance.own.record(outcome, now);
    instance.isOpen = instance.own.state !== "closed";
    if (instance.isOpen && instance.votedAt === undefined) this.#vote(instance, now);
    return this.#answer(instance, now);
  }

  /** An instance asks for a state: as the result of its probe where the policy owes one. */
  transition(instance: InstanceModel, to: CircuitState, now: number): CircuitBreakerSnapshot {
    const claim = to === "half-open"
      ? undefined
      : instance.claims.find(({ isOfPermit }) => !isOfPermit);
    if (claim !== undefined) {
      return this.settle(instance, claim, to === "closed" ? "success" : "failure", now);
    }
    if (this.#options.quorum !== undefined && to === "open") return this.peek(instance, now);
    this.circuit.move(to, now);
    const snapshot = this.circuit.snapshot(now);
    if (!instance.hasBallot) return snapshot;
    this.#follow(instance, now);
    if (to === "closed") {
      instance.own.reset(now);
      this.#close(instance, now);
    }
    return snapshot;
  }

  settle(
    instance: InstanceModel,
    claim: Claim,
    outcome: PermitOutcome,
    now: number,
  ): CircuitBreakerSnapshot {
    instance.claims = instance.claims.filter((each) => each !== claim);
    const { own, label } = instance;
    claim.circuit.settle(claim.round, outcome, label, now);
    if (claim.circuit !== own) {
      return this.#answer(instance, now);
    }
    const isOpen = own.state !== "closed";
    if (instance.isOpen && !isOpen) this.#close(instance, now);
    else if (isOpen && !instance.isOpen) {
      instance.isOpen = true;
      this.#vote(instance, now);
    }
    return own.snapshot(now);
  }

  force(instance: InstanceModel, state: "open" | "closed", forMs: number, now: number): void {
    this.circuit.forceTo(state, forMs, now);
    if (instance.hasBallot) this.#follow(instance, now);
  }

  release(instance: InstanceModel, now: number): void {
    this.circuit.release(now);
    if (instance.hasBallot) this.#follow(instance, now);
  }

  reset(instance: InstanceModel, now: number): void {
    this.circuit.reset(now);
    if (instance.hasBallot) this.#clear(instance, now);
  }

  /** A store closes: probes of permits are handed back, and votes withdrawn. */
  close(instance: InstanceModel, now: number): void {
    if (instance.mayStand) this.circuit.withdraw(instance.label, now);
    for (const claim of instance.claims.filter(({ isOfPermit }) => isOfPermit)) {
      claim.circuit.settle(claim.round, "ignored", instance.label, now);
    }
  }

  #shown(instance: InstanceModel, now: number): CircuitModel {
    if (!instance.hasBallot) return this.circuit;
    this.#follow(instance, now);
    return instance.isOpen && !this.#decides(now) ? instance.own : this.circuit;
  }

  /** Whether the fleet's circuit is the answer, whatever the instance finds itself. */
  #decides(now: number): boolean {
    return this.circuit.isForced(now) || this.circuit.state !== "closed";
  }

  #follow(instance: InstanceModel, now: number, begins = false): void {
    if (begins) instance.hasBallot = true;
    const { zeroings } = this.circuit;
    const known = instance.zeroings ?? zeroings;
    instance.zeroings = zeroings;
    if (this.circuit.effective(now) !== "closed" || zeroings > known) this.#clear(instance, now);
  }

  #clear(instance: InstanceModel, now: number): void {
    instance.own.reset(now);
    instance.isOpen = instance.mayStand = false;
    instance.votedAt = undefined;
  }

  #close(instance: InstanceModel, now: number): void {
    instance.isOpen = false;
    instance.votedAt = undefined;
    if (instance.mayStand) this.circuit.withdraw(instance.label, now);
    instance.mayStand = false;
  }

  #vote(instance: InstanceModel, now: number): void {
    this.circuit.vote(instance.label, now);
    instance.votedAt = now;
    instance.mayStand = true;
    this.#follow(instance, now);
    if (!instance.isOpen) instance.mayStand = this.circuit.votes.has(instance.label);
  }

  /** A call shows that the instance lives. */
  #renew(instance: InstanceModel, now: number): void {
    if (!instance.hasBallot) return;
    if (!instance.isOpen) {
      if (instance.mayStand) this.#close(instance, now);
    } else if (instance.votedAt === undefined || now - instance.votedAt >= RENEWAL_MS) {
      this.#vote(instance, now);
    }
  }
}
