/** One history: random steps of a fleet on one circuit, with its own clock. */

import type { PermitOutcome } from "../../mod.ts";
import type { ConformanceStore } from "../conformance/session.ts";
import { randomOf } from "../support/random.ts";
import { Calls, type Done, type HeldPermit, type Instance } from "./calls.ts";
import type { ModelOptions } from "./circuit_model.ts";
import { assertRow } from "./expected_row.ts";
import type { Facts } from "./facts.ts";
import { InstanceModel } from "./fleet_model.ts";
import { Invariants, type Step } from "./invariants.ts";

const OUTCOMES: readonly PermitOutcome[] = ["success", "success", "failure", "failure", "ignored"];

/** What a history needs. */
export interface HistoryOptions {
  readonly key: string;
  readonly seed: number;
  readonly options: ModelOptions;
  /** Whether there are several instances, which come and go. */
  readonly isFleet: boolean;
  readonly open: (label: string, now: () => number) => ConformanceStore;
}

export class History {
  readonly seed: number;
  readonly calls: Calls;
  readonly invariants: Invariants;
  hasFailed = false;
  readonly #options: ModelOptions;
  readonly #isFleet: boolean;
  readonly #random: () => number;
  readonly #open: HistoryOptions["open"];
  readonly #instances: Instance[];
  /** Stores of instances that crashed. They are closed after the history. */
  readonly #crashed: ConformanceStore[] = [];

  constructor({ key, seed, options, isFleet, open }: HistoryOptions) {
    this.seed = seed;
    this.#options = options;
    this.#isFleet = isFleet;
    this.#open = open;
    this.#random = randomOf(seed);
    this.calls = new Calls(key, options);
    this.invariants = new Invariants(options);
    const instances = isFleet ? 2 + Math.floor(this.#random() * 3) : 1;
    this.#instances = Array.from({ length: instances }, (_, i) => this.#start(`gateway-${i}`));
  }

  /** Does something, and checks what it returns. */
  async advance(): Promise<Step> {
    try {
      return await this.#advance();
    } catch (error) {
      this.hasFailed = true;
      throw error;
    }
  }

  async #advance(): Promise<Step> {
    const { calls } = this;
    calls.now = this.#nextTime();
    calls.admitted = [];
    const done = await this.#act();
    const labels = this.#instances.map(({ model }) => model.label);
    const admitted = calls.admitted.filter(({ circuit }) => circuit === calls.model.circuit);
    return { now: calls.now, labels, admitted: admitted.length, ...done };
  }

  /** Checks what the tables say after a step. */
  check(step: Step, facts: Facts): void {
    this.hasFailed = true;
    const { admitted, versions, now, model: { circuit } } = this.calls;
    this.invariants.check(step, facts);
    if (step.isRace) {
      // Left open are: which successes came before one of them closed the circuit, and whose vote opened it.
      circuit.successes = facts.row.successes;
      if (circuit.state === "open") circuit.voters = facts.row.voters ?? [];
    }
    assertRow(facts.row, circuit, now);
    for (const claim of admitted) {
      if (claim.circuit === circuit) versions.set(claim, facts.row.version);
    }
    this.hasFailed = false;
  }

  async end(): Promise<void> {
    const stores = [...this.#crashed, ...this.#instances.map(({ store }) => store)];
    await Promise.all(stores.map((store) => store.close()));
  }

  /** The policy's instance that owes a result, and permits of probes, come first. */
  async #act(): Promise<Done> {
    const { calls } = this;
    const probes = calls.permits.filter(({ claim }) => claim !== undefined);
    const owing = this.#instances.filter(({ model }) =>
      model.claims.some(({ isOfPermit }) => !isOfPermit)
    );
    if (probes.length > 0 && this.#chance(0.2)) return await this.#report(probes);
    if (owing.length > 0 && this.#chance(0.2)) {
      return await calls.transition(this.#one(owing), this.#one(["closed", "open"]));
    }
    const instance = this.#one(this.#instances);
    const chosen = this.#random();
    if (chosen < 0.12) return await calls.getState(instance);
    if (chosen < 0.35) return await calls.acquire(instance);
    if (chosen < 0.45) return await calls.raceRequests(this.#some(4));
    if (chosen < 0.5) return await calls.peek(instance);
    if (chosen < 0.7) return await this.#fail(instance);
    if (chosen < 0.74) return await calls.record(instance, "success");
    if (chosen < 0.8 && calls.permits.length > 0) return await this.#report(calls.permits);
    if (chosen < 0.83) return await calls.raceFailures(this.#some(3));
    if (chosen < 0.87) {
      return await calls.transition(instance, this.#one(["closed", "open", "half-open"]));
    }
    if (chosen < 0.9) {
      const forMs = this.#one([undefined, 1, 500, 5000]);
      return await calls.force(instance, this.#one(["open", "closed"]), forMs);
    }
    if (chosen < 0.93) return await calls.release(instance);
    if (chosen < 0.95 || !this.#isFleet) return await calls.reset(instance);
    return chosen < 0.98 ? this.#crash(instance) : await this.#close(instance);
  }

  async #report(permits: readonly HeldPermit[]): Promise<Done> {
    const { calls } = this;
    const held = this.#one(permits);
    const { round } = calls.model.circuit;
    // With a quorum it matters whose success closes the circuit, and which come after it.
    const sameRound = this.#options.quorum === undefined
      ? calls.permits.filter(({ claim, isDone }) => !isDone && claim?.round === round)
      : [];
    if (sameRound.length > 1 && this.#chance(0.3)) {
      return await calls.raceReports(sameRound, this.#one(OUTCOMES));
    }
    const done = await calls.report(held, this.#one(OUTCOMES));
    // Some are reported again.
    if (this.#chance(0.5)) calls.permits = calls.permits.filter((each) => each !== held);
    return done;
  }

  /** A request of the policy fails, which opens the circuit where the caller decides on it. */
  async #fail(instance: Instance): Promise<Done> {
    const { calls } = this;
    const done = await calls.record(instance, "failure");
    const { failureThreshold, trip } = this.#options;
    const isDue = calls.model.circuit.countedFailures(calls.now) >= failureThreshold;
    if (!isDue || trip === "store" || instance.model.claims.length > 0) return done;
    return { ...await calls.transition(instance, "open"), ...done };
  }

  /** Another instance begins with the label of one that crashed. */
  #crash(instance: Instance): Done {
    this.#crashed.push(instance.store);
    this.#restart(instance);
    return this.calls.crash(instance);
  }

  async #close(instance: Instance): Promise<Done> {
    const done = await this.calls.close(instance);
    this.#restart(instance);
    return done;
  }

  #restart(instance: Instance): void {
    this.#instances[this.#instances.indexOf(instance)] = this.#start(instance.model.label);
  }

  #start(label: string): Instance {
    const store = this.#open(label, () => this.calls.now);
    return { store, model: new InstanceModel(label, this.#options) };
  }

  /** Forward, often to a moment when something is due, or next to it. */
  #nextTime(): number {
    const { now } = this.calls;
    const chosen = this.#random();
    if (chosen < 0.35) return now;
    if (chosen < 0.6) return now + 1 + Math.floor(this.#random() * 50);
    if (chosen >= 0.97) return now + this.#one([30_000, 4 * this.#options.probeTimeoutMs]);
    return Math.max(now, this.#one(this.#moments()) + Math.floor(this.#random() * 3) - 1);
  }

  /** Moments at which a decision may change. */
  #moments(): number[] {
    const { now, model: { circuit } } = this.calls;
    const { failureWindowMs, probeTimeoutMs } = this.#options;
    const moments = [now + 1];
    for (const each of [circuit, ...this.#instances.map(({ model }) => model.own)]) {
      if (each.state === "closed") continue;
      moments.push(each.retryAt(), each.retryAt(), each.retryAt() + probeTimeoutMs);
    }
    for (const seenAt of circuit.votes.values()) moments.push(seenAt + 10_000, seenAt + 30_000);
    if (failureWindowMs) moments.push(...circuit.times.slice(-3).map((at) => at + failureWindowMs));
    if (circuit.force && circuit.force.until !== Infinity) moments.push(circuit.force.until);
    return moments;
  }

  #some(count: number): Instance[] {
    return Array.from({ length: count }, () => this.#one(this.#instances));
  }

  #one<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)]!;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}
