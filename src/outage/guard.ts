import type {
  Circuit,
  Circuits,
  ClaimResult,
  Deferred,
  Histories,
  Origin,
  Refreshed,
  RememberingCircuits,
  Round,
} from "../rules/circuit.ts";
import type { Force } from "../options/force.ts";
import { isOutage, isStoreTimeoutError, StoreUnavailableError } from "../errors.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { OutageChange } from "../options/store_options.ts";
import type { CircuitState } from "../types.ts";
import { startBackgroundTimer } from "../time/background.ts";
import type { LocalCircuits } from "./local_circuits.ts";

/** The first check comes almost at once: most connections that break are alone in it. */
const FIRST_CHECK_MS = 20;

/** Checks are at most so far apart, which bounds how long a return goes unnoticed. */
const MAX_CHECK_MS = 1000;

/** What the guard needs. */
export interface OutageOptions {
  /** Where circuits are kept while the database is out; `undefined` reports the outage instead. */
  fallback: LocalCircuits | undefined;
  onOutageChange: ((change: OutageChange) => void) | undefined;
}

/**
 * Stands between an instance and its database. The first call that finds the database out begins an
 * outage; from then on no call waits for it, and one background check after another asks it again,
 * at random moments so that a thousand instances do not return at once.
 */
export class OutageGuard implements RememberingCircuits, Origin {
  #circuits!: RememberingCircuits;
  readonly #fallback: LocalCircuits | undefined;
  readonly #onChange: ((change: OutageChange) => void) | undefined;
  #cause: Error | undefined;
  #ownAnswers = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Checks since a call last succeeded: an outage that comes back at once is asked less often. */
  #checks = 0;
  /** When the last outage ended, on the clock of `performance.now()`. */
  #endedAt = -Infinity;
  #isEnded = false;

  constructor({ fallback, onOutageChange }: OutageOptions) {
    this.#fallback = fallback;
    this.#onChange = onOutageChange;
  }

  /** Stands before these circuits, whose statements are reported to `onOutcome`. */
  guard(circuits: RememberingCircuits): void {
    this.#circuits = circuits;
  }

  read(key: string, begunAt?: number): Promise<Circuit | undefined> {
    return this.#kept(key, (circuits) => circuits.read(key, begunAt));
  }

  recordSuccess(key: string): Promise<Circuit> {
    return this.#kept(key, (circuits) => circuits.recordSuccess(key));
  }

  recordFailure(key: string): Promise<Circuit> {
    return this.#kept(key, (circuits) => circuits.recordFailure(key));
  }

  transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return this.#kept(key, (circuits) => circuits.transition(key, to));
  }

  settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    return this.#kept(key, (circuits) => circuits.settle(key, to, round));
  }

  claim(key: string, begunAt: number): Promise<ClaimResult | undefined> {
    return this.#guarded(
      (circuits) => circuits.claim(key, begunAt),
      this.#fallback,
      (admission) => this.#remember(key, admission?.circuit),
    );
  }

  readMany(keys: readonly string[]): Promise<Circuit[]> {
    return this.#guarded((circuits) => circuits.readMany(keys), this.#fallback);
  }

  // An operator's word counts for the fleet: said to one instance alone, it would be lost.

  async force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    const circuit = await this.#guarded((circuits) => circuits.force(key, force), undefined);
    this.#remember(key, circuit);
    return circuit;
  }

  async reset(key: string): Promise<void> {
    await this.#guarded((circuits) => circuits.reset(key), undefined);
    this.#remember(key, undefined);
  }

  list(options: ResolvedListOptions): Promise<Circuit[]> {
    return this.#guarded((circuits) => circuits.list(options), undefined);
  }

  prune(idleMs: number, limit: number, isElected: boolean): Promise<number> {
    return this.#guarded((circuits) => circuits.prune(idleMs, limit, isElected), undefined);
  }

  history(): Promise<Histories> {
    return this.#guarded(() => this.#circuits.history(), undefined);
  }

  // In the background, where nobody waits for an answer that is not the database's.

  async refresh(keys: readonly string[], deferred: readonly Deferred[]): Promise<Refreshed[]> {
    const circuits = await this.#guarded((inner) => inner.refresh(keys, deferred), undefined);
    for (const circuit of circuits) this.#remember(circuit.key, circuit);
    return circuits;
  }

  async check(): Promise<void> {
    await this.#circuits.check();
  }

  /** Whether the database is out, as far as is known. */
  get isOut(): boolean {
    return this.#cause !== undefined;
  }

  /** How many answers it has given that are not the database's. */
  get ownAnswers(): number {
    return this.#ownAnswers;
  }

  /** Stops asking in the background; calls go to the database from then on. */
  end(): void {
    this.#isEnded = true;
    this.#cause = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * ChangeTail of each statement by whoever sends them: the error that it ended in, if it did, and when it
   * was begun. One that hangs since before the last outage is part of it, and begins no other.
   */
  readonly onOutcome = (error: unknown, begunAt?: number): void => {
    if (error === undefined) this.#checks = 0;
    else if (this.#cause !== undefined || !isOutage(error)) return;
    else if (!isStoreTimeoutError(error) || (begunAt ?? Infinity) > this.#endedAt) {
      this.#begin(error);
    }
  };

  /** A call for one circuit, which is remembered for the next outage. */
  #kept<Answer extends Circuit | undefined>(
    key: string,
    call: (circuits: Circuits) => Promise<Answer>,
  ): Promise<Answer> {
    return this.#fallback === undefined
      ? this.#guarded(call, undefined)
      : this.#guarded(call, this.#fallback, (circuit) => this.#remember(key, circuit));
  }

  #remember(key: string, circuit: Circuit | undefined): void {
    if (this.#cause === undefined) this.#fallback?.remember(key, circuit);
  }

  /**
   * Nothing stands between a call and the database while it is in, unless there is a fallback. What
   * the database answers can be learned, what the fallback answers cannot.
   */
  #guarded<Answer>(
    call: (circuits: Circuits) => Promise<Answer>,
    fallback: LocalCircuits | undefined,
    learn?: (answer: Answer) => void,
  ): Promise<Answer> {
    if (this.#cause !== undefined) return this.#answered(call, fallback, this.#cause);
    return fallback === undefined ? call(this.#circuits) : this.#caught(call, fallback, learn);
  }

  async #answered<Answer>(
    call: (circuits: Circuits) => Promise<Answer>,
    fallback: LocalCircuits | undefined,
    cause: Error,
  ): Promise<Answer> {
    if (fallback !== undefined) return await this.#local(call, fallback);
    throw new StoreUnavailableError(`Cannot use the database: it is out (${cause.message})`, {
      cause,
    });
  }

  async #caught<Answer>(
    call: (circuits: Circuits) => Promise<Answer>,
    fallback: LocalCircuits,
    learn: ((answer: Answer) => void) | undefined,
  ): Promise<Answer> {
    let answer: Answer;
    try {
      answer = await call(this.#circuits);
    } catch (error) {
      if (isOutage(error)) return await this.#local(call, fallback);
      throw error;
    }
    learn?.(answer);
    return answer;
  }

  #local<Answer>(
    call: (circuits: Circuits) => Promise<Answer>,
    fallback: LocalCircuits,
  ): Promise<Answer> {
    this.#ownAnswers++;
    // One call's trouble alone is no outage: nothing of what an earlier one did locally holds.
    if (this.#cause === undefined) fallback.restart();
    return call(fallback);
  }

  #begin(cause: Error): void {
    if (this.#isEnded) return;
    this.#cause = cause;
    this.#fallback?.restart();
    this.#scheduleCheck();
    this.#report({ isOut: true, cause });
  }

  #scheduleCheck(): void {
    const delay = Math.min(FIRST_CHECK_MS * 2 ** this.#checks, MAX_CHECK_MS);
    this.#checks++;
    this.#timer = startBackgroundTimer(
      () => void this.#runCheck(),
      delay * (0.5 + Math.random() / 2),
    );
  }

  async #runCheck(): Promise<void> {
    try {
      await this.#circuits.check();
    } catch {
      if (!this.#isEnded) this.#scheduleCheck();
      return;
    }
    if (this.#isEnded) return;
    this.#cause = undefined;
    this.#endedAt = performance.now();
    this.#fallback?.restart();
    this.#report({ isOut: false });
  }

  #report(change: OutageChange): void {
    try {
      this.#onChange?.(change);
    } catch {
      // A listener's mistake must not become the gateway's.
    }
  }
}
