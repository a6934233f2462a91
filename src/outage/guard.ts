import type { Circuit, Round } from "../circuit.ts";
import { isStoreUnavailableError, isUnavailable, StoreUnavailableError } from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { PermitOutcome } from "../permit.ts";
import type {
  Admin,
  Answer,
  Calls,
  ClaimAnswer,
  Deferred,
  Flush,
  FlushResult,
  Instance,
  ListedCircuit,
  LogCursor,
  LogPage,
  LogRequest,
  PruneRequest,
  SeenInstance,
  Tail,
  TailPage,
} from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitState } from "../types.ts";
import type { LocalCircuits } from "./local_circuits.ts";
import type { Outage } from "./outage.ts";

/** The circuits that the guard protects calls from waiting for. */
export type GuardedCircuits = Calls & Admin;

/**
 * Keeps calls from waiting for a database that is out.
 *
 * States: those of {@linkcode Outage}, in and out.
 * - In: the database answers. The local circuits remember its answers.
 * - In, and a call fails with an outage or an overload: the local circuits answer this call, where
 *   there are any. They begin with what the database last answered.
 * - In, and a result or a transition was lost although no outage began: the call fails. Its caller
 *   could not know otherwise that the database may not have it.
 * - Out: the local circuits answer, where there are any. Otherwise calls fail at once.
 * - In either state, calls of operators need the database, because they count for the whole fleet.
 *   They fail during an outage.
 */
export class OutageGuard implements Calls, Admin, Tail {
  readonly #circuits: GuardedCircuits;
  readonly #tail: Tail;
  readonly #outage: Outage;
  readonly #local: LocalCircuits | undefined;

  /** @param local Answers during an outage; `undefined` reports the outage instead. */
  constructor(
    circuits: GuardedCircuits,
    tail: Tail,
    outage: Outage,
    local: LocalCircuits | undefined,
  ) {
    this.#circuits = circuits;
    this.#tail = tail;
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

  recordSuccess(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    return this.#write(key, (circuits) => circuits.recordSuccess(call, key, isSlow));
  }

  recordFailure(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    return this.#write(key, (circuits) => circuits.recordFailure(call, key, isSlow));
  }

  transition(call: Call, key: string, to: CircuitState): Promise<Answer> {
    return this.#write(key, (circuits) => circuits.transition(call, key, to));
  }

  claim(call: Call, key: string, patienceMs: number): Promise<ClaimAnswer> {
    return this.#answer(key, (circuits) => circuits.claim(call, key, patienceMs));
  }

  settle(call: Call, key: string, outcome: PermitOutcome, round: Round): Promise<Answer> {
    return this.#write(key, (circuits) => circuits.settle(call, key, outcome, round));
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

  async force(call: Call, key: string, force: Force): Promise<Answer> {
    const answer = await this.#ask(() => this.#circuits.force(call, key, force));
    this.#remember(key, answer);
    return answer;
  }

  async reset(call: Call, key: string, act: Act): Promise<Answer> {
    const answer = await this.#ask(() => this.#circuits.reset(call, key, act));
    this.#remember(key, answer);
    return answer;
  }

  list(call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]> {
    return this.#ask(() => this.#circuits.list(call, options));
  }

  prune(call: Call, request: PruneRequest): Promise<number> {
    return this.#ask(() => this.#circuits.prune(call, request));
  }

  async vote(call: Call, key: string): Promise<Answer<Circuit>> {
    const answer = await this.#ask(() => this.#tail.vote(call, key));
    this.#remember(key, answer);
    return answer;
  }

  withdraw(call: Call, keys: readonly string[]): Promise<void> {
    return this.#ask(() => this.#tail.withdraw(call, keys));
  }

  async tail(call: Call, after: LogCursor | undefined, limit: number): Promise<TailPage> {
    const page = await this.#ask(() => this.#tail.tail(call, after, limit));
    for (const circuit of page.circuits) this.#rememberKnown(circuit);
    return page;
  }

  log(call: Call, request: LogRequest): Promise<LogPage> {
    return this.#ask(() => this.#tail.log(call, request));
  }

  async readKnown(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    const circuits = await this.#ask(() => this.#tail.readKnown(call, keys));
    for (const circuit of circuits) this.#rememberKnown(circuit);
    return circuits;
  }

  instances(call: Call): Promise<SeenInstance[]> {
    return this.#ask(() => this.#tail.instances(call));
  }

  register(call: Call, instance: Instance): Promise<void> {
    return this.#ask(() => this.#tail.register(call, instance));
  }

  flush(call: Call, instance: Instance, flush: Flush): Promise<FlushResult> {
    return this.#ask(() => this.#tail.flush(call, instance, flush));
  }

  findFlush(call: Call, instance: Instance, flush: Flush): Promise<FlushResult> {
    return this.#ask(() => this.#tail.findFlush(call, instance, flush));
  }

  addCircuits(call: Call, keys: readonly string[]): Promise<void> {
    return this.#ask(() => this.#tail.addCircuits(call, keys));
  }

  countDeferred(call: Call, deferred: readonly Deferred[]): Promise<void> {
    return this.#ask(() => this.#tail.countDeferred(call, deferred));
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

  /** The same for what the database must not miss unnoticed. */
  #write<Answered extends Answer>(
    key: string,
    ask: (circuits: Calls) => Promise<Answered>,
  ): Promise<Answered> {
    if (this.#local === undefined) return this.#answer(key, ask);
    return this.#answerOrLocal(key, ask, this.#local, true);
  }

  async #answerOrLocal<Answered extends Answer>(
    key: string,
    ask: (circuits: Calls) => Promise<Answered>,
    local: LocalCircuits,
    isWrite = false,
  ): Promise<Answered> {
    if (this.isOut) return await ask(local);
    const outages = this.#outage.count;
    let answer: Answered;
    try {
      answer = await ask(this.#circuits);
    } catch (error) {
      const isUnknown = isStoreUnavailableError(error) && this.#outage.count === outages;
      if (!isUnavailable(error) || isWrite && isUnknown) throw error;
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

  /** The same for a circuit that a background statement read, where the instance uses it. */
  #rememberKnown(circuit: Circuit): void {
    if (!this.isOut) this.#local?.renew(circuit);
  }

  /** The local circuits begin the next outage with the last answers of the database. */
  #remember(key: string, { circuit }: Answer): void {
    if (!this.isOut) this.#local?.remember(key, circuit);
  }
}
