/** The calls of a fleet on its stores. Each is compared with what the model of the fleet expects. */

import { assertEquals } from "@std/assert";
import type { CircuitBreakerSnapshot, CircuitState, Permit, PermitOutcome } from "../../mod.ts";
import type { ConformanceStore } from "../conformance/session.ts";
import { verdictOf } from "../support/policy.ts";
import type { ModelOptions } from "./circuit_model.ts";
import { type Claim, type Entry, FleetModel, type InstanceModel } from "./fleet_model.ts";
import type { Step } from "./invariants.ts";

/** An instance: a store, and what the model knows of it. */
export interface Instance {
  readonly store: ConformanceStore;
  readonly model: InstanceModel;
}

/** A permit that a request got. */
export interface HeldPermit {
  readonly permit: Permit;
  readonly by: Instance;
  readonly claim: Claim | undefined;
  isDone: boolean;
}

/** What was done; all instances had a call, unless it says which. */
export type Done = Pick<Step, "name"> & Partial<Step>;

export class Calls {
  readonly key: string;
  readonly model: FleetModel;
  now = 1_000_000;
  /** Permits that can be reported, or reported again. */
  permits: HeldPermit[] = [];
  /** Probes that the present step admitted. */
  admitted: Claim[] = [];
  /** The rounds of the fleet's probes, by their versions. */
  readonly versions: Map<Claim, number> = new Map();
  /** The steps so far, to explain a failure. */
  readonly notes: string[] = [];
  readonly #options: ModelOptions;

  constructor(key: string, options: ModelOptions) {
    this.key = key;
    this.#options = options;
    this.model = new FleetModel(options);
  }

  async getState({ store, model }: Instance): Promise<Done> {
    const entry = this.#ask(model, false);
    const snapshot = await store.getState(this.key);
    this.#note(`${model.label} reads`, snapshot.state);
    if (entry.kind === "refused") {
      assertEquals(snapshot.state, "open");
      assertEquals(verdictOf(snapshot, this.now, this.#options.resetTimeoutMs).kind, "refuse");
    } else this.#assertSnapshot(snapshot, entry.snapshot);
    return { name: "read", labels: [model.label] };
  }

  async acquire(by: Instance): Promise<Done> {
    const { store, model } = by;
    const { kind, claim, snapshot, waitMs } = this.#ask(model, true);
    const permit = await store.acquire(this.key);
    const { allowed, state, isProbe, retryAfterMs } = permit;
    this.#note(`${model.label} acquires`, state, isProbe, retryAfterMs);
    assertEquals({ allowed, state, isProbe, retryAfterMs }, {
      allowed: kind !== "refused",
      state: snapshot.state,
      isProbe: kind === "probe",
      retryAfterMs: kind === "refused" ? waitMs : 0,
    });
    if (allowed) this.permits.push({ permit, by, claim, isDone: false });
    return { name: "acquire", labels: [model.label] };
  }

  #ask(model: InstanceModel, isOfPermit: boolean): Entry {
    const entry = this.model.ask(model, isOfPermit, this.now);
    if (entry.claim) this.admitted.push(entry.claim);
    return entry;
  }

  async peek({ store, model }: Instance): Promise<Done> {
    const expected = this.model.peek(model, this.now);
    this.#assertSnapshot(await store.peek(this.key), expected);
    this.#note(`${model.label} peeks`, expected.state);
    return { name: "peek", labels: [model.label] };
  }

  async record({ store, model }: Instance, outcome: "success" | "failure"): Promise<Done> {
    this.#note(`${model.label} records`, outcome);
    const expected = this.model.record(model, outcome, this.now);
    const snapshot = outcome === "success"
      ? await store.recordSuccess(this.key)
      : await store.recordFailure(this.key);
    this.#assertSnapshot(snapshot, expected);
    return { name: outcome, labels: [model.label], ...counts(outcome, 1) };
  }

  /** A permit is reported, in time or not, for the first time or again. */
  async report(held: HeldPermit, outcome: PermitOutcome): Promise<Done> {
    const { permit, by: { model }, claim, isDone } = held;
    const circuit = claim && (claim.circuit === this.model.circuit ? "the fleet's" : "its own");
    this.#note(`${model.label} reports`, outcome, circuit ?? "", isDone ? "again" : "");
    if (!isDone) this.#settle(held, outcome);
    await permit.report(outcome);
    if (isDone) return { name: "report again", labels: [] };
    const reported = claim && this.versions.get(claim);
    return { name: "report", labels: [model.label], reported, ...this.#reported([held], outcome) };
  }

  #settle(held: HeldPermit, outcome: PermitOutcome): void {
    const { by: { model }, claim } = held;
    held.isDone = true;
    if (outcome !== "ignored") this.model.record(model, outcome, this.now);
    if (claim !== undefined) this.model.settle(model, claim, outcome, this.now);
  }

  #reported(held: readonly HeldPermit[], outcome: PermitOutcome): Partial<Step> {
    const versions = held.flatMap(({ claim }) => claim && this.versions.get(claim) || []);
    return {
      ...counts(outcome, held.length),
      handedBack: outcome === "ignored" ? versions : [],
    };
  }

  async transition({ store, model }: Instance, to: CircuitState): Promise<Done> {
    this.#note(`${model.label} moves`, to);
    const claim = to === "half-open"
      ? undefined
      : model.claims.find(({ isOfPermit }) => !isOfPermit);
    const expected = this.model.transition(model, to, this.now);
    this.#assertSnapshot(await store.transition(this.key, to), expected);
    const reported = claim && this.versions.get(claim);
    return { name: `move to ${to}`, labels: [model.label], reported };
  }

  async force(
    { store, model }: Instance,
    state: "open" | "closed",
    forMs: number | undefined,
  ): Promise<Done> {
    this.#note(`${model.label} forces`, state, forMs);
    this.model.force(model, state, forMs ?? Infinity, this.now);
    const snapshot = state === "open"
      ? await store.forceOpen(this.key, { forMs })
      : await store.forceClosed(this.key, { forMs });
    this.#assertSnapshot(snapshot, this.model.circuit.snapshot(this.now));
    return { name: `force ${state}`, labels: [model.label] };
  }

  async release({ store, model }: Instance): Promise<Done> {
    this.#note(`${model.label} releases`);
    this.model.release(model, this.now);
    const snapshot = await store.release(this.key);
    this.#assertSnapshot(snapshot, this.model.circuit.snapshot(this.now));
    return { name: "release", labels: [model.label] };
  }

  async reset({ store, model }: Instance): Promise<Done> {
    this.#note(`${model.label} resets`);
    this.model.reset(model, this.now);
    await store.reset(this.key);
    return { name: "reset", labels: [model.label] };
  }

  /** An instance is gone. What it owes is never reported. */
  crash(instance: Instance): Done {
    this.#note(`${instance.model.label} crashes`);
    this.permits = this.permits.filter(({ by }) => by !== instance);
    return { name: "crash", labels: [] };
  }

  /** A store closes. What it owes is handed back, and a report comes too late. */
  async close(instance: Instance): Promise<Done> {
    const { store, model } = instance;
    this.#note(`${model.label} closes`);
    const ended = model.claims.filter(({ isOfPermit }) => isOfPermit);
    const handedBack = ended.flatMap((claim) => this.versions.get(claim) ?? []);
    this.model.close(model, this.now);
    await store.close();
    for (const each of this.permits) {
      if (each.claim !== undefined && ended.includes(each.claim)) each.isDone = true;
    }
    this.permits = this.permits.filter(({ by, isDone }) => by !== instance || isDone);
    return { name: "close", labels: [model.label], handedBack };
  }

  /** Requests at once, of instances that neither owe a result nor have the circuit open for themselves. */
  async raceRequests(instances: readonly Instance[]): Promise<Done> {
    const { circuit } = this.model;
    const asking = instances.filter(({ model }) => !model.isOpen && model.claims.length === 0);
    if (asking.length === 0) return await this.acquire(instances[0]!);
    for (const { model } of asking) this.model.peek(model, this.now);
    const isClosed = circuit.effective(this.now) === "closed";
    const vacancies = isClosed ? 0 : circuit.vacancies(this.now, 0);
    const permits = await Promise.all(asking.map(({ store }) => store.acquire(this.key)));
    const admitted = permits.filter(({ isProbe }) => isProbe).length;
    this.#note("at once acquire", ...asking.map(({ model }) => model.label), admitted);
    assertEquals(admitted, Math.min(vacancies, asking.length), "probes of a race");
    for (const [i, permit] of permits.entries()) {
      assertEquals(permit.allowed, isClosed || permit.isProbe);
      const by = asking[i]!;
      const claim = permit.isProbe
        ? this.model.admit(by.model, circuit, true, this.now)
        : undefined;
      if (claim) this.admitted.push(claim);
      if (permit.allowed) this.permits.push({ permit, by, claim, isDone: false });
    }
    return { name: "requests at once" };
  }

  /**
   * Failures at once. Which of them opens the circuit makes no difference to it. An instance that has it
   * open for itself does not take part: when it hears of the opening is left open.
   */
  async raceFailures(instances: readonly Instance[]): Promise<Done> {
    const failing = instances.filter(({ model }) => !model.isOpen);
    this.#note("at once fail", ...failing.map(({ model }) => model.label));
    for (const { model } of failing) this.model.record(model, "failure", this.now);
    await Promise.all(failing.map(({ store }) => store.recordFailure(this.key)));
    return { name: "failures at once", isRace: true, ...counts("failure", failing.length) };
  }

  /** Probes of one round report the same at once, each twice. */
  async raceReports(held: readonly HeldPermit[], outcome: PermitOutcome): Promise<Done> {
    this.#note("at once report", ...held.map(({ by }) => by.model.label), outcome);
    for (const each of held) this.#settle(each, outcome);
    await Promise.all(
      held.flatMap(({ permit }) => [permit.report(outcome), permit.report("failure")]),
    );
    return { name: "reports at once", isRace: true, ...this.#reported(held, outcome) };
  }

  /** Above the threshold, failures of a window are counted roughly, and never too many. */
  #assertSnapshot(snapshot: CircuitBreakerSnapshot, expected: CircuitBreakerSnapshot): void {
    const { failureCount } = snapshot;
    const isRough = this.#options.failureWindowMs !== undefined &&
      failureCount >= this.#options.failureThreshold && failureCount <= expected.failureCount;
    assertEquals(snapshot, isRough ? { ...expected, failureCount } : expected);
  }

  #note(...what: unknown[]): void {
    this.notes.push(`${this.now}: ${what.join(" ")}`);
  }
}

function counts(outcome: PermitOutcome, count: number): Pick<Step, "failures" | "successes"> {
  return {
    failures: outcome === "failure" ? count : 0,
    successes: outcome === "success" ? count : 0,
  };
}
