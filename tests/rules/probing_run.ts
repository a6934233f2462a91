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
    const moments = [row.lastChange + resetTimeoutMs, row.lastFailure + failureWindowMs];
    if (row.leaseEnd > 0) moments.push(row.leaseEnd);
    if (row.force && row.force.until !== Infinity) moments.push(row.force.until);
    return this.#one(moments);
  }

  /** Requests to several instances, those of an instance at the same time. */
  async #ask(requests: number): Promise<Step> {
    const { model } = this;
    model.notice(this.#now);
    const vacancies = model.vacancies(this.#now);
    const instances = Array.from({ length: requests }, () => this.#randomInstance()).toSorted();
    const ask = (instance: number) => this.#stores[instance]!.getState(this.#key);
    const snapshots: CircuitBreakerSnapshot[] = [];
    if (this.#races) {
      snapshots.push(...await Promise.all(instances.map(ask)));
    } else {
      for (const instance of new Set(instances)) {
        const own = instances.filter((each) => each === instance);
        snapshots.push(...await Promise.all(own.map(ask)));
      }
    }
    const isHalfOpen = (each: CircuitBreakerSnapshot) => each.state === "half-open";
    instances.filter((_, place) => isHalfOpen(snapshots[place]!))
      .forEach((instance) => model.admit(instance, this.#now));
    const admitted = snapshots.filter(isHalfOpen).length;
    this.#note(`ask ${instances}`, snapshots.map((each) => each.state));
    assertEquals(admitted, Math.min(vacancies, requests), `probes of ${requests} requests`);

    const expected = model.snapshot(this.#now);
    for (const snapshot of snapshots) {
      if (isHalfOpen(snapshot) || expected.state === "closed") assertEquals(snapshot, expected);
      else this.#assertRefused(snapshot, expected);
    }
    return { name: "ask", edges: ROUND, admitted, writes: admitted > 0 };
  }

  #assertRefused(snapshot: CircuitBreakerSnapshot, expected: CircuitBreakerSnapshot): void {
    const { lastStateChange } = snapshot;
    assertEquals(snapshot, { ...expected, state: "open", lastStateChange });
    const seconds = Math.ceil(this.model.waitOf(this.#now) / 1000);
    assert(seconds >= 1 && Number.isFinite(seconds));
    assertEquals(verdictOf(snapshot, this.#now, this.#rules.resetTimeoutMs), {
      kind: "refuse",
      retryAfter: seconds,
    });
  }

  async #peek(): Promise<Step> {
    const store = this.#stores[this.#randomInstance()]!;
    this.model.notice(this.#now);
    const expected = this.model.snapshot(this.#now);
    assertEquals(await store.peek(this.#key), expected);
    assertEquals(await store.peek([this.#key]), [expected]);
    return { name: "peek", ...NOTHING };
  }

  /** A request that was let through failed: the policy counts it, and opens at its threshold. */
  async #fail(): Promise<Step> {
    const instance = this.#randomInstance();
    await this.#recordFailure(instance);
    const { failureCount } = this.model.snapshot(this.#now);
    if (failureCount >= this.#rules.failureThreshold) await this.#transition(instance, "open");
    return { name: "fail", edges: RESULT, admitted: 0, writes: true };
  }

  async #succeed(): Promise<Step> {
    this.model.recordSuccess();
    const instance = this.#randomInstance();
    this.#note(`recordSuccess ${instance}`);
    const snapshot = await this.#stores[instance]!.recordSuccess(this.#key);
    assertEquals(snapshot, this.model.snapshot(this.#now));
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
    assertEquals(snapshot, this.model.snapshot(this.#now));
    return { name: `force ${state}`, edges: [], admitted: 0, writes: true, forces: true };
  }

  async #release(): Promise<Step> {
    this.#note("release");
    this.model.release(this.#now);
    const snapshot = await this.#stores[this.#randomInstance()]!.release(this.#key);
    assertEquals(snapshot, this.model.snapshot(this.#now));
    return { name: "release", edges: [], admitted: 0, writes: true, forces: true };
  }

  async #reset(): Promise<Step> {
    this.#note("reset");
    this.model.reset();
    await this.#stores[this.#randomInstance()]!.reset(this.#key);
    return { name: "reset", edges: [], admitted: 0, writes: true, blanks: true };
  }

  async #recordFailure(instance: number): Promise<void> {
    this.#note(`recordFailure ${instance}`);
    this.model.recordFailure(this.#now);
    const snapshot = await this.#stores[instance]!.recordFailure(this.#key);
    assertEquals(snapshot, this.model.snapshot(this.#now));
  }

  async #transition(instance: number, to: CircuitBreakerSnapshot["state"]): Promise<void> {
    this.#note(`transition ${instance} ${to}`);
    this.model.notice(this.#now);
    this.model.transition(instance, to, this.#now);
    const snapshot = await this.#stores[instance]!.transition(this.#key, to);
    assertEquals(snapshot, this.model.snapshot(this.#now));
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
