/** Random operations on one circuit by a few instances, compared with a model of it. */

import { assert, assertEquals } from "@std/assert";
import type { CircuitBreakerSnapshot } from "../../mod.ts";
import type { ConformanceStore } from "../conformance/session.ts";
import { Model, type ModelRules } from "./probing_model.ts";
import type { Step } from "./probing_invariants.ts";
import { verdictOf } from "../support/policy.ts";

const ROUND = ["open>half-open", "half-open>half-open"];
const RESULT = ["half-open>open", "half-open>closed", "closed>open"];
const NOTHING: Omit<Step, "name"> = { edges: [], admitted: 0, writes: false };

function isHalfOpen({ state }: CircuitBreakerSnapshot): boolean {
  return state === "half-open";
}

export class Run {
  readonly model: Model;
  readonly #key: string;
  readonly #rules: ModelRules;
  readonly #random: () => number;
  readonly #stores: readonly ConformanceStore[];
  readonly #races: boolean;
  /** The steps so far, to explain a failure. */
  readonly history: string[] = [];
  #now = 0;

  /**
   * @param stores May change under way: they are looked up by their place.
   * @param races Whether instances ask at the same time. Then the admitted instance is not known
   * beforehand, and the same random numbers may lead to another run.
   */
  constructor(
    key: string,
    rules: ModelRules,
    random: () => number,
    stores: readonly ConformanceStore[],
    races: boolean,
  ) {
    this.#key = key;
    this.#rules = rules;
    this.#random = random;
    this.#stores = stores;
    this.#races = races;
    this.model = new Model(rules);
  }

  /** Does something, and checks what it returns. */
  async step(now: number): Promise<Step> {
    this.#now = now;
    const holders = this.model.holders();
    if (holders.length > 0 && this.#chance(0.25)) {
      const success = this.#chance(0.5);
      return await this.#report(this.#one(holders), success);
    }
    const chosen = this.#random();
    if (chosen < 0.4) return await this.#ask(1 + Math.floor(this.#random() * 6));
    if (chosen < 0.45) return await this.#peek();
    if (chosen < 0.65) return await this.#fail();
    if (chosen < 0.72) return await this.#succeed();
    if (chosen < 0.77) return await this.#straggle();
    if (chosen < 0.88) return await this.#move();
    if (chosen < 0.93) return await this.#force();
    if (chosen < 0.97) return await this.#release();
    return await this.#reset();
  }

  /** A moment at which the circuit's decision may change. */
  boundary(): number {
    const { row } = this.model;
    if (row === undefined) return this.#now + 1;
    const { resetTimeoutMs, failureWindowMs = 1 } = this.#rules;
    const dueAt = row.leaseEnd || row.lastChange + (row.openMs || resetTimeoutMs);
    const moments = [dueAt, dueAt + this.#rules.probeTimeoutMs, row.lastFailure + failureWindowMs];
    if (row.force && row.force.until !== Infinity) moments.push(row.force.until);
    return this.#one(moments);
  }

  /** Requests to several instances, those of an instance at the same time. */
  async #ask(requests: number): Promise<Step> {
    const { model } = this;
    model.notice(this.#now);
    const instances = Array.from({ length: requests }, () => this.#randomInstance()).toSorted();
    const groups = [...Map.groupBy(instances, (each) => each).values()];
    const admitted = this.#races ? await this.#race(groups) : await groups.reduce(
      async (before, group) => await before + await this.#askOne(group),
      Promise.resolve(0),
    );
    return { name: "ask", edges: ROUND, admitted, writes: admitted > 0 };
  }

  /** Requests to one instance. Resolves to how many were admitted as probes. */
  async #askOne(group: readonly number[]): Promise<number> {
    const { model } = this;
    const instance = group[0]!;
    const expectedProbes = Math.min(model.vacancies(instance, this.#now), group.length);
    const snapshots = await this.#snapshotsOf(group);
    const probes = snapshots.filter(isHalfOpen).length;
    this.#note(`ask ${group}`, snapshots.map((each) => each.state));
    assertEquals(probes, expectedProbes, `probes of ${group.length} requests`);
    for (let probe = 0; probe < probes; probe++) model.admit(instance, this.#now);

    const expected = model.snapshot(this.#now);
    for (const snapshot of snapshots) {
      if (isHalfOpen(snapshot) || expected.state === "closed") this.#assertShown(snapshot);
      else this.#assertRefused(instance, snapshot, expected);
    }
    return probes;
  }

  /** Requests to several instances at the same time. Whose claim comes first is left open. */
  async #race(groups: readonly number[][]): Promise<number> {
    const { model } = this;
    const wanted = groups.map((group) => ({
      requests: group.length,
      vacancies: model.vacancies(group[0]!, this.#now),
      isPatient: model.patienceOf(group[0]!, this.#now) > 0,
    })).filter(({ vacancies }) => vacancies > 0);
    const most = (of: typeof wanted) =>
      Math.min(
        Math.max(0, ...of.map(({ vacancies }) => vacancies)),
        of.reduce((sum, { requests }) => sum + requests, 0),
      );
    // A patient instance takes part only where its claim comes first.
    const others = wanted.filter(({ isPatient }) => !isPatient);
    const patient = wanted.filter(({ isPatient }) => isPatient);
    const possible = [
      ...others.length > 0 || patient.length === 0 ? [most(others)] : [],
      ...patient.map((first) => most([first, ...others])),
    ];
    const all = groups.flat();
    const snapshots = await this.#snapshotsOf(all);
    const probers = all.filter((_, place) => isHalfOpen(snapshots[place]!));
    this.#note(`ask ${all}`, snapshots.map((each) => each.state));
    assert(possible.includes(probers.length), `${probers.length} probes, possible: ${possible}`);
    for (const instance of probers) model.admit(instance, this.#now);
    const { state } = model.snapshot(this.#now);
    for (const snapshot of snapshots) {
      if (state === "closed") assertEquals(snapshot.state, "closed");
      else if (!isHalfOpen(snapshot)) {
        assertEquals(verdictOf(snapshot, this.#now, this.#rules.resetTimeoutMs).kind, "refuse");
      }
    }
    return probers.length;
  }

  #snapshotsOf(instances: readonly number[]): Promise<CircuitBreakerSnapshot[]> {
    return Promise.all(instances.map((each) => this.#stores[each]!.getState(this.#key)));
  }

  #assertRefused(
    instance: number,
    snapshot: CircuitBreakerSnapshot,
    expected: CircuitBreakerSnapshot,
  ): void {
    const { lastStateChange } = snapshot;
    this.#assertShown(snapshot, { ...expected, state: "open", lastStateChange });
    const seconds = Math.ceil(this.model.waitOf(instance, this.#now) / 1000);
    assert(seconds >= 1 && Number.isFinite(seconds));
    assertEquals(verdictOf(snapshot, this.#now, this.#rules.resetTimeoutMs), {
      kind: "refuse",
      retryAfter: seconds,
    });
  }

  async #peek(): Promise<Step> {
    const store = this.#stores[this.#randomInstance()]!;
    this.model.notice(this.#now);
    const shown = await store.peek(this.#key);
    this.#assertShown(shown);
    assertEquals(await store.peek([this.#key]), [shown]);
    return { name: "peek", ...NOTHING };
  }

  /** A request that was let through failed: the policy counts it, and opens at its threshold. */
  async #fail(): Promise<Step> {
    const instance = this.#randomInstance();
    const { failureCount } = await this.#recordFailure(instance);
    if (failureCount >= this.#rules.failureThreshold) await this.#transition(instance, "open");
    return { name: "fail", edges: RESULT, admitted: 0, writes: true };
  }

  async #succeed(): Promise<Step> {
    this.model.recordSuccess();
    const instance = this.#randomInstance();
    this.#note(`recordSuccess ${instance}`);
    const snapshot = await this.#stores[instance]!.recordSuccess(this.#key);
    this.#assertShown(snapshot);
    return { name: "succeed", edges: [], admitted: 0, writes: true };
  }

  /** A request from before the circuit opened failed late. */
  async #straggle(): Promise<Step> {
    const instance = this.#randomInstance();
    await this.#recordFailure(instance);
    await this.#transition(instance, "open");
    return { name: "straggle", edges: RESULT, admitted: 0, writes: true };
  }

  /** A probe reports, in time or not. */
  async #report(instance: number, success: boolean): Promise<Step> {
    if (!success) await this.#recordFailure(instance);
    await this.#transition(instance, success ? "closed" : "open");
    // A result that its instance no longer remembers is a move by hand.
    const edges = [...RESULT, "open>closed"];
    return { name: "report", edges, admitted: 0, writes: true, zeroes: true };
  }

  async #move(): Promise<Step> {
    const to = this.#one(["closed", "open", "half-open"] as const);
    const edges = [...RESULT, "open>closed", "open>half-open", "closed>half-open"];
    await this.#transition(this.#randomInstance(), to);
    return { name: `move to ${to}`, edges, admitted: 0, writes: true, zeroes: true };
  }

  async #force(): Promise<Step> {
    const state = this.#one(["open", "closed"] as const);
    const forMs = this.#one([undefined, 1, 500, 3 * this.#rules.resetTimeoutMs]);
    const store = this.#stores[this.#randomInstance()]!;
    const force = state === "open" ? store.forceOpen : store.forceClosed;
    this.#note(`force ${state} ${forMs}`);
    this.model.force(state, forMs ?? Infinity, this.#now);
    const snapshot = await force.call(store, this.#key, { forMs });
    this.#assertShown(snapshot);
    return { name: `force ${state}`, edges: [], admitted: 0, writes: true, forces: true };
  }

  async #release(): Promise<Step> {
    this.#note("release");
    this.model.release(this.#now);
    const snapshot = await this.#stores[this.#randomInstance()]!.release(this.#key);
    this.#assertShown(snapshot);
    return { name: "release", edges: [], admitted: 0, writes: true, forces: true };
  }

  async #reset(): Promise<Step> {
    this.#note("reset");
    this.model.reset();
    await this.#stores[this.#randomInstance()]!.reset(this.#key);
    return { name: "reset", edges: [], admitted: 0, writes: true, blanks: true };
  }

  async #recordFailure(instance: number): Promise<CircuitBreakerSnapshot> {
    this.#note(`recordFailure ${instance}`);
    this.model.recordFailure(this.#now);
    const snapshot = await this.#stores[instance]!.recordFailure(this.#key);
    this.#assertShown(snapshot);
    return snapshot;
  }

  async #transition(instance: number, to: CircuitBreakerSnapshot["state"]): Promise<void> {
    this.#note(`transition ${instance} ${to}`);
    this.model.notice(this.#now);
    this.model.transition(instance, to, this.#now);
    const snapshot = await this.#stores[instance]!.transition(this.#key, to);
    this.#assertShown(snapshot);
  }

  #assertShown(
    snapshot: CircuitBreakerSnapshot,
    expected: CircuitBreakerSnapshot = this.model.snapshot(this.#now),
  ): void {
    assertEquals(snapshot, expected);
  }

  #note(...what: unknown[]): void {
    this.history.push(`${this.#now}: ${what.join(" -> ")}`);
  }

  #randomInstance(): number {
    return Math.floor(this.#random() * this.#stores.length);
  }

  #one<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)]!;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}
