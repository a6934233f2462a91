import {
  type Circuit,
  type ClaimResult,
  counted,
  type Deferred,
  type Histories,
  type Refreshed,
  type RememberingCircuits,
  type Round,
} from "../rules/circuit.ts";
import type { Force } from "../options/force.ts";
import { withDeadline } from "../time/deadline.ts";
import { isStoreTimeoutError } from "../errors.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import { type CircuitState, MAX_COUNT } from "../types.ts";
import type { CircuitTable, ClaimedCircuit, Tally } from "./circuit_table.ts";
import { Coalescer, type CoalescerLimits, type OnOutcome } from "./coalescer.ts";

/** Keys in one statement: enough to share it, few enough that it is over soon. */
const KEYS = 500;

/** Circuits in one statement that refreshes in the background, which nobody waits for. */
const REFRESHED_KEYS = 2000;

/** Calls that may wait, which bounds the memory of a flood. */
const MAX_WAITING = 100_000;

/** How a batch is bounded. */
export interface DispatcherOptions {
  /** How long any call may take, in milliseconds. */
  timeoutMs: number;
  /** About how many circuits the table may hold. */
  maxCircuits: number | undefined;
  /** ChangeTail of each statement. */
  onOutcome: OnOutcome;
}

/**
 * One call, one circuit in front; one statement, many circuits behind. Calls of a kind that arrive
 * while statements of that kind are in flight leave together as the next one. Reads never wait
 * behind writes.
 *
 * Each caller gets its answer only after its own effect is committed. The calls of a statement take
 * effect in a serial order: failures first, then successes, each with its own count.
 */
export class Dispatcher implements RememberingCircuits {
  readonly #table: CircuitTable;
  readonly #timeoutMs: number;
  readonly #maxCircuits: number | undefined;
  readonly #onOutcome: OnOutcome;
  /** Circuits added since the table was last trimmed. */
  #added = 0;
  #isTrimming = false;
  readonly #reads: Coalescer<Circuit>;
  readonly #records: Coalescer<Circuit>;
  readonly #claims: Coalescer<ClaimedCircuit>;
  readonly #moves: Record<CircuitState, Coalescer<Circuit>>;

  constructor(table: CircuitTable, { timeoutMs, maxCircuits, onOutcome }: DispatcherOptions) {
    this.#table = table;
    this.#maxCircuits = maxCircuits;
    this.#onOutcome = onOutcome;
    this.#timeoutMs = timeoutMs;
    const limits: CoalescerLimits = {
      // The best of 1 to 4 at every load measured: a second statement splits what would have
      // gathered, and two that write the same circuit queue for its row.
      statements: 1,
      keys: KEYS,
      waiting: MAX_WAITING,
      timeoutMs,
      onOutcome,
    };
    this.#reads = new Coalescer((seats) => table.read(seats.map(({ key }) => key)), limits);
    this.#records = new Coalescer((seats) => this.#record(seats), limits);
    this.#claims = new Coalescer(
      (seats) => table.claim(seats.map(({ key, callers }) => ({ key, wanted: callers }))),
      limits,
    );
    const movesTo = (to: CircuitState) =>
      new Coalescer<Circuit>((seats) => table.transition(seats.map(({ key }) => key), to), limits);
    this.#moves = {
      closed: movesTo("closed"),
      open: movesTo("open"),
      "half-open": movesTo("half-open"),
    };
  }

  read(key: string, begunAt?: number): Promise<Circuit | undefined> {
    const { answer } = this.#reads.join(key);
    return begunAt === undefined ? answer : this.#sooner("read circuit", answer, begunAt);
  }

  recordSuccess(key: string): Promise<Circuit> {
    const seat = this.#records.join(key);
    const place = ++seat.successes;
    return seat.answer.then((answer) => {
      const circuit = answer!;
      const later = seat.successes - place;
      if (later === 0) return circuit;
      return counted(circuit, circuit.failureCount, before(circuit.successCount, later));
    });
  }

  recordFailure(key: string): Promise<Circuit> {
    const seat = this.#records.join(key);
    const place = ++seat.failures;
    return seat.answer.then((answer) => {
      const circuit = answer!;
      return counted(
        circuit,
        before(circuit.failureCount, seat.failures - place),
        before(circuit.successCount, seat.successes),
      );
    });
  }

  #record(tallies: readonly Tally[]): Promise<Circuit[]> {
    const maxCircuits = this.#maxCircuits;
    const recorded = this.#table.record(tallies);
    return maxCircuits === undefined ? recorded : recorded.then((circuits) => {
      this.#watchGrowth(tallies, circuits, maxCircuits);
      return circuits;
    });
  }

  /** Trims the table in the background when this instance alone has made it grow by a tenth. */
  #watchGrowth(tallies: readonly Tally[], circuits: Circuit[], maxCircuits: number): void {
    const byKey = new Map(circuits.map((circuit) => [circuit.key, circuit]));
    for (const { key, failures, successes } of tallies) {
      const circuit = byKey.get(key);
      // Holds nothing but what was just counted: it is new.
      if (
        circuit?.lastStateChange === 0 && circuit.failureCount === failures &&
        circuit.successCount === successes
      ) {
        this.#added++;
      }
    }
    if (!this.#isTrimming) void this.#trim(maxCircuits);
  }

  /** Goes on as long as the table grew by another tenth meanwhile. */
  async #trim(maxCircuits: number): Promise<void> {
    this.#isTrimming = true;
    try {
      while (this.#added >= maxCircuits / 10) {
        this.#added = 0;
        await this.#alone("trim circuits", this.#table.trim(maxCircuits));
      }
    } catch {
      // Tried again after the next tenth.
    }
    this.#isTrimming = false;
  }

  transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return this.#moves[to].join(key).answer;
  }

  async claim(key: string, begunAt: number): Promise<ClaimResult | undefined> {
    const seat = this.#claims.join(key);
    const place = seat.callers;
    const circuit = await this.#sooner("claim probe", seat.answer, begunAt);
    return circuit && { circuit, isAdmitted: place <= circuit.granted };
  }

  /** For a call that has spent time elsewhere: that it is over says nothing of its statement. */
  #sooner<Answer>(action: string, answer: Promise<Answer>, begunAt: number): Promise<Answer> {
    return withDeadline(this.#timeoutMs, action, answer, begunAt);
  }

  // What follows is rare, and each call differs: nothing to share.

  readMany(keys: readonly string[]): Promise<Circuit[]> {
    return this.#alone("read circuits", this.#readAll(keys));
  }

  async #readAll(keys: readonly string[]): Promise<Circuit[]> {
    const found: Circuit[] = [];
    for (let i = 0; i < keys.length; i += KEYS) {
      found.push(...await this.#table.read(keys.slice(i, i + KEYS)));
    }
    return found;
  }

  settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    return this.#alone("settle probe", this.#table.settle(key, to, round));
  }

  force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    return this.#alone("force circuit", this.#table.force(key, force));
  }

  reset(key: string): Promise<void> {
    return this.#alone("reset circuit", this.#table.reset([key]));
  }

  list(options: ResolvedListOptions): Promise<Circuit[]> {
    return this.#alone("list circuits", this.#table.list(options));
  }

  /**
   * Reads the whole table in the background. That it takes too long says nothing about the calls that
   * somebody waits for, and must not begin an outage.
   */
  async history(): Promise<Histories> {
    try {
      const histories = await withDeadline(this.#timeoutMs, "read changes", this.#table.history());
      this.#onOutcome(undefined);
      return histories;
    } catch (error) {
      if (!isStoreTimeoutError(error)) this.#onOutcome(error);
      throw error;
    }
  }

  async prune(idleMs: number, limit: number, isElected: boolean): Promise<number> {
    const begunAt = performance.now();
    const end = begunAt + this.#timeoutMs;
    let removed = 0;
    while (removed < limit) {
      const left = Math.min(limit - removed, KEYS);
      const batch = await this.#alone(
        "prune circuits",
        this.#table.prune(idleMs, left, isElected),
        begunAt,
      );
      removed += batch;
      // Half of the time is kept for a batch that takes longer than the ones before.
      if (batch < left || performance.now() > end - this.#timeoutMs / 2) break;
    }
    return removed;
  }

  async refresh(keys: readonly string[], deferred: readonly Deferred[]): Promise<Refreshed[]> {
    const { length } = keys;
    const found: Refreshed[] = [];
    const begunAt = performance.now();
    // As a rule one statement: many instances that each send a few add up on the server.
    for (let i = 0; i === 0 || i < length + deferred.length; i += REFRESHED_KEYS) {
      const end = i + REFRESHED_KEYS;
      const part = this.#table.refresh(
        keys.slice(i, end),
        deferred.slice(Math.max(0, i - length), Math.max(0, end - length)),
      );
      found.push(...await this.#alone("refresh circuits", part, begunAt));
    }
    if (this.#maxCircuits !== undefined && deferred.length > 0) {
      const tallies = deferred.map(({ key, successes }) => ({ key, failures: 0, successes }));
      this.#watchGrowth(tallies, found, this.#maxCircuits);
    }
    return found;
  }

  check(): Promise<void> {
    return withDeadline(this.#timeoutMs, "check database", this.#table.check());
  }

  async #alone<Answer>(
    action: string,
    work: Promise<Answer>,
    begunAt: number = performance.now(),
  ): Promise<Answer> {
    try {
      const answer = await withDeadline(this.#timeoutMs, action, work, begunAt);
      this.#onOutcome(undefined);
      return answer;
    } catch (error) {
      this.#onOutcome(error, begunAt);
      throw error;
    }
  }
}

/** A counter as it was before the last calls were counted; one that is full was full before. */
function before(count: number, calls: number): number {
  return count === MAX_COUNT ? MAX_COUNT : count - calls;
}
