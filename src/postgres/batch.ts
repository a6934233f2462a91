import type { Admission, Circuit, Circuits, Force, Round } from "../circuit.ts";
import type { ResolvedListOptions } from "../list_options.ts";
import { type CircuitState, MAX_COUNT } from "../types.ts";
import type { CircuitTable, Claimed, Tally } from "./circuit_table.ts";
import { Lane, type LaneLimits, type Parties } from "./lane.ts";

const KEYS = 500;

// Two halves of the readers overlap: while one half works, the other half's statement is under way.
const READS: LaneLimits = {
  statements: 1,
  keys: KEYS,
  waiting: 100_000,
};

// Two statements that write the same circuit would queue for its row.
const WRITES: LaneLimits = {
  statements: 1,
  keys: KEYS,
  waiting: 100_000,
};

/**
 * One call, one circuit in front; one statement, many circuits behind. Calls of a kind that arrive
 * while statements of that kind are in flight leave together as the next one. Reads never wait
 * behind writes.
 *
 * Each caller gets its answer only after its own effect is committed. The calls of a statement take
 * effect in a serial order: failures first, then successes, each with its own count.
 */
export class Batch implements Circuits {
  readonly #table: CircuitTable;
  readonly #reads: Lane<Circuit>;
  readonly #records: Lane<Circuit>;
  readonly #claims: Lane<Claimed>;
  readonly #moves: Record<CircuitState, Lane<Circuit>>;

  constructor(table: CircuitTable) {
    this.#table = table;
    this.#reads = new Lane((parties) => table.read([...parties.keys()]), READS);
    this.#records = new Lane((parties) => table.record(talliesOf(parties)), WRITES);
    this.#claims = new Lane(
      (parties) =>
        table.claim(Array.from(parties, ([key, { callers }]) => ({ key, wanted: callers }))),
      WRITES,
    );
    const movesTo = (to: CircuitState) =>
      new Lane<Circuit>((parties) => table.transition([...parties.keys()], to), WRITES);
    this.#moves = {
      closed: movesTo("closed"),
      open: movesTo("open"),
      "half-open": movesTo("half-open"),
    };
  }

  read(key: string): Promise<Circuit | undefined> {
    return this.#reads.join(key).answer;
  }

  async recordSuccess(key: string): Promise<Circuit> {
    const seat = this.#records.join(key);
    const place = ++seat.successes;
    const circuit = (await seat.answer)!;
    const later = seat.party.successes - seat.successesAhead - place;
    return counted(circuit, circuit.failureCount, before(circuit.successCount, later));
  }

  async recordFailure(key: string): Promise<Circuit> {
    const seat = this.#records.join(key);
    const place = ++seat.failures;
    const circuit = (await seat.answer)!;
    const later = seat.party.failures - seat.failuresAhead - place;
    return counted(
      circuit,
      before(circuit.failureCount, later),
      before(circuit.successCount, seat.party.successes),
    );
  }

  transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return this.#moves[to].join(key).answer;
  }

  async claim(key: string): Promise<Admission | undefined> {
    const seat = this.#claims.join(key);
    const place = seat.callers;
    const circuit = await seat.answer;
    return circuit && { circuit, isAdmitted: seat.callersAhead + place <= circuit.granted };
  }

  // What follows is rare, and each call differs: nothing to share.

  async readMany(keys: readonly string[]): Promise<Circuit[]> {
    const found: Circuit[] = [];
    for (let i = 0; i < keys.length; i += KEYS) {
      found.push(...await this.#table.read(keys.slice(i, i + KEYS)));
    }
    return found;
  }

  settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    return this.#table.settle(key, to, round);
  }

  force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    return this.#table.force(key, force);
  }

  reset(key: string): Promise<void> {
    return this.#table.reset([key]);
  }

  list(options: ResolvedListOptions): Promise<Circuit[]> {
    return this.#table.list(options);
  }
}

/** The circuit as it was after one call among those that a statement counted. */
function counted(circuit: Circuit, failureCount: number, successCount: number): Circuit {
  return { ...circuit, failureCount, successCount };
}

/** A counter as it was before the last calls were counted; one that is full was full before. */
function before(count: number, calls: number): number {
  return count === MAX_COUNT ? MAX_COUNT : count - calls;
}

function talliesOf(parties: Parties<Circuit>): Tally[] {
  return Array.from(parties, ([key, { failures, successes }]) => ({ key, failures, successes }));
}
