import { type CircuitState, MAX_COUNT } from "../types.ts";
import type { Circuit, CircuitTable } from "./circuit_table.ts";
import { Lane, type LaneLimits, type Seat } from "./lane.ts";

// One statement of each kind in flight was the best at every load measured: a second one splits
// what would have gathered, and two that write the same circuit queue for its row.
const LIMITS: LaneLimits = { statements: 1, keys: 500, waiting: 100_000 };

/**
 * One call, one circuit in front; one statement, many circuits behind. Calls of a kind that arrive
 * while a statement of that kind is in flight leave together as the next one. Reads never wait
 * behind writes.
 *
 * Each caller gets its answer only after its own effect is committed. The calls of a statement take
 * effect in a serial order: failures first, then successes, each with its own count.
 */
export class Batch {
  readonly #table: CircuitTable;
  readonly #reads: Lane<Circuit>;
  readonly #records: Lane<Circuit>;
  readonly #moves: Record<CircuitState, Lane<Circuit>>;

  constructor(table: CircuitTable) {
    this.#table = table;
    this.#reads = new Lane((seats) => table.read([...seats.keys()]), LIMITS);
    this.#records = new Lane((seats) => table.record(tallies(seats)), LIMITS);
    const movesTo = (to: CircuitState) =>
      new Lane<Circuit>(
        (seats) => table.transition(Array.from(seats.keys(), (key) => ({ key, to }))),
        LIMITS,
      );
    this.#moves = {
      closed: movesTo("closed"),
      open: movesTo("open"),
      "half-open": movesTo("half-open"),
    };
  }

  /** The circuit, `undefined` where it has no row. Callers share the answer: not to be changed. */
  read(key: string): Promise<Circuit | undefined> {
    return this.#reads.join(key).answer;
  }

  /** Counts one success. */
  async recordSuccess(key: string): Promise<Circuit> {
    const seat = this.#records.join(key);
    const place = ++seat.successes;
    const circuit = (await seat.answer)!;
    return counted(
      circuit,
      circuit.failureCount,
      before(circuit.successCount, seat.successes - place),
    );
  }

  /** Counts one failure. */
  async recordFailure(key: string): Promise<Circuit> {
    const seat = this.#records.join(key);
    const place = ++seat.failures;
    const circuit = (await seat.answer)!;
    return counted(
      circuit,
      before(circuit.failureCount, seat.failures - place),
      before(circuit.successCount, seat.successes),
    );
  }

  /** Moves the circuit to a state; `undefined` where it was closed and has no row. */
  transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return this.#moves[to].join(key).answer;
  }

  /** Deletes the circuit. */
  async reset(key: string): Promise<void> {
    await this.#table.reset([key]);
  }
}

/** The circuit as it was after one call among those that a statement counted. */
function counted(circuit: Circuit, failureCount: number, successCount: number): Circuit {
  return {
    key: circuit.key,
    state: circuit.state,
    failureCount,
    successCount,
    lastFailureTime: circuit.lastFailureTime,
    lastStateChange: circuit.lastStateChange,
  };
}

/** A counter as it was before the last calls were counted; one that is full was full before. */
function before(count: number, calls: number): number {
  return count === MAX_COUNT ? MAX_COUNT : count - calls;
}

function tallies(seats: ReadonlyMap<string, Seat<Circuit>>) {
  return Array.from(seats, ([key, { failures, successes }]) => ({ key, failures, successes }));
}
