import type { Circuit, Round } from "../circuit.ts";
import { isUnavailable, StoreUnavailableError } from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import type { Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type {
  Admin,
  Answer,
  Calls,
  ClaimAnswer,
  Deferred,
  Histories,
  PruneRequest,
  Refreshed,
  Tail,
} from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitState } from "../types.ts";
import type { LocalCircuits } from "./local_circuits.ts";
import type { Outage } from "./outage.ts";

/** The circuits that the guard protects calls from waiting for. */
export type GuardedCircuits = Calls & Admin & Tail;

/**
 * Keeps calls from waiting for a database that is out.
 *
 * States: those of {@linkcode Outage}, in and out.
 * - In: the database answers. The local circuits remember its answers.
 * - In, and a call fails with an outage or an overload: the local circuits answer this call, where
 *   there are any. They begin with what the database last answered.
 * - Out: the local circuits answer, where there are any. Otherwise calls fail at once.
 * - In either state, calls of operators need the database, because they count for the whole fleet.
 *   They fail during an outage.
 */
export class OutageGuard implements Calls, Admin, Tail {
  readonly #circuits: GuardedCircuits;
  readonly #outage: Outage;
  readonly #local: LocalCircuits | undefined;

  /** @param local Answers during an outage; `undefined` reports the outage instead. */
  constructor(circuits: GuardedCircuits, outage: Outage, local: LocalCircuits | undefined) {
    this.#circuits = circuits;
    this.#outage = outage;
    this.#local = local;
  }

  /** Whether the database is out, as far as is known. */
  get isOut(): boolean {
    return this.#outage.cause !== undefined;
  }

  read(call: Call, key: string): Promise<Answer> {
    return this.#answer(key, (circuits) => circuits.read(call, key));
  }

  recordSuccess(call: Call, key: string): Promise<Answer<Circuit>> {
    return this.#answer(key, (circuits) => circuits.recordSuccess(call, key));
  }

  recordFailure(call: Call, key: string): Promise<Answer<Circuit>> {
    return this.#answer(key, (circuits) => circuits.recordFailure(call, key));
  }

  transition(call: Call, key: string, to: CircuitState): Promise<Answer> {
    return this.#answer(key, (circuits) => circuits.transition(call, key, to));
  }

  claim(call: Call, key: string): Promise<ClaimAnswer> {
    return this.#answer(key, (circuits) => circuits.claim(call, key));
  }

  settle(call: Call, key: string, to: CircuitState, round: Round): Promise<Answer> {
    return this.#answer(key, (circuits) => circuits.settle(call, key, to, round));
  }

  async readMany(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    const local = this.#local;
    if (local === undefined) return await this.#ask((circuits) => circuits.readMany(call, keys));
    if (this.isOut) return await local.readMany(call, keys);
    try {
      return await this.#circuits.readMany(call, keys);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#beginLocalAnswers(local);
      return await local.readMany(call, keys);
    }
  }

  async force(call: Call, key: string, force: Force | undefined): Promise<Answer> {
    const answer = await this.#ask((circuits) => circuits.force(call, key, force));
    this.#remember(key, answer);
    return answer;
  }

  async reset(call: Call, key: string): Promise<void> {
    await this.#ask((circuits) => circuits.reset(call, key));
    this.#remember(key, { circuit: undefined, source: "database" });
  }

  list(call: Call, options: ResolvedListOptions): Promise<Circuit[]> {
    return this.#ask((circuits) => circuits.list(call, options));
  }

  prune(call: Call, request: PruneRequest): Promise<number> {
    return this.#ask((circuits) => circuits.prune(call, request));
  }

  history(call: Call): Promise<Histories> {
    return this.#ask((circuits) => circuits.history(call));
  }

  async refresh(
    call: Call,
    keys: readonly string[],
    deferred: readonly Deferred[],
  ): Promise<Refreshed[]> {
    const circuits = await this.#ask((inner) => inner.refresh(call, keys, deferred));
    for (const circuit of circuits) this.#remember(circuit.key, { circuit, source: "database" });
    return circuits;
  }

  /** Asks the database, or fails at once while it is out. */
  #ask<Result>(ask: (circuits: GuardedCircuits) => Promise<Result>): Promise<Result> {
    const { cause } = this.#outage;
    if (cause === undefined) return ask(this.#circuits);
    return Promise.reject(
      new StoreUnavailableError(`Cannot use the database: it is out (${messageOf(cause)})`, {
        cause,
      }),
    );
  }

  /** Without local circuits a call goes to the database with no other step between. */
  #answer<Answered extends Answer>(
    key: string,
    ask: (circuits: Calls) => Promise<Answered>,
  ): Promise<Answered> {
    if (this.#local !== undefined) return this.#answerOrLocal(key, ask, this.#local);
    return this.#outage.cause === undefined ? ask(this.#circuits) : this.#ask(ask);
  }

  async #answerOrLocal<Answered extends Answer>(
    key: string,
    ask: (circuits: Calls) => Promise<Answered>,
    local: LocalCircuits,
  ): Promise<Answered> {
    if (this.isOut) return await ask(local);
    let answer: Answered;
    try {
      answer = await ask(this.#circuits);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#beginLocalAnswers(local);
      return await ask(local);
    }
    this.#remember(key, answer);
    return answer;
  }

  /** Outside of an outage each failed call begins with the database's circuits. */
  #beginLocalAnswers(local: LocalCircuits): void {
    if (!this.isOut) local.clear();
  }

  /** The local circuits begin the next outage with the last answers of the database. */
  #remember(key: string, { circuit }: Answer): void {
    if (!this.isOut) this.#local?.remember(key, circuit);
  }
}
