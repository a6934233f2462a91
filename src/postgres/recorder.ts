import type { Circuit } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { OwnChange } from "../ports.ts";
import { countResults, NOTHING_COUNTED } from "../rules/counting.ts";
import { segmentMs } from "../rules/segments.ts";
import { isTripDue } from "../rules/tripping.ts";
import type { Demand } from "./executor.ts";
import type { StatementRunner } from "./statement_runner.ts";
import { addCallsStatement } from "./statements/add_calls.ts";
import type { Statement, StatementContext } from "./statements/context.ts";
import {
  addSuccessesStatement,
  recordOneStatement,
  recordOneSuccessesStatement,
  recordStatement,
  recordSuccessesStatement,
  type Tally,
} from "./statements/record.ts";
import {
  recordAndTripStatement,
  type RecordedCircuit,
  recordOneAndTripStatement,
} from "./statements/record_and_trip.ts";
import { tripStatement } from "./statements/trip.ts";

/** What a recorder needs beside its statements. */
export interface RecorderOptions {
  rules: CircuitRules;
  /** Who opens circuits, for the log. */
  actor: string;
  /** Called after each statement that wrote rows of the log: with these, and with its circuits. */
  onLogged: (changes: readonly OwnChange[], circuits: readonly Circuit[]) => void;
}

/** How many circuits are remembered to have a row. */
const MAX_SEEN = 1000;

/**
 * Records results. It chooses the statement: successes alone cost less, unless a rate counts them, and so
 * does a circuit alone. Where the store decides when circuits open, the statement that records opens those
 * that are due.
 */
export class Recorder {
  readonly #runner: StatementRunner;
  readonly #options: RecorderOptions;
  readonly #statements: ReturnType<typeof statementsOf>;
  /** Circuits that had a row when successes were last recorded for them alone. */
  readonly #seen = new Set<string>();
  readonly #recent: RecentRecords;

  constructor(runner: StatementRunner, context: StatementContext, options: RecorderOptions) {
    this.#runner = runner;
    this.#options = options;
    this.#statements = statementsOf(context);
    this.#recent = new RecentRecords(segmentMs(options.rules.trip.rates?.windowMs ?? 0));
  }

  /** Adds up successes and failures. */
  record(tallies: readonly Tally[], demand: Demand): Promise<Circuit[]> {
    const { isByStore, rates } = this.#options.rules.trip;
    const hasFailures = tallies.some(({ failures }) => failures > 0);
    if (isByStore && (hasFailures || rates !== undefined)) {
      return this.#recordAndTrip(tallies, demand);
    }
    const { record, recordSuccesses, recordOne } = this.#statements;
    if (tallies.length > 1) {
      return this.#runner.run(hasFailures ? record : recordSuccesses, demand, tallies);
    }
    const tally = tallies[0]!;
    if (hasFailures) return this.#runner.run(recordOne, demand, tally);
    return this.#seen.has(tally.key)
      ? this.#addSuccesses(tally, demand)
      : this.#recordSuccesses(tally, demand);
  }

  async #recordAndTrip(tallies: readonly Tally[], demand: Demand): Promise<Circuit[]> {
    const circuits: RecordedCircuit[] = tallies.length === 1
      ? await this.#recordOneAndTrip(tallies[0]!, demand)
      : await this.#runner.run(
        this.#statements.recordAndTrip,
        demand,
        tallies,
        this.#options.actor,
      );
    const logged = circuits[0]?.logged;
    if (logged !== undefined) this.#options.onLogged(logged, circuits);
    const due = this.#dueWhenNew(tallies, circuits);
    return due.length === 0 ? circuits : await this.#trip(due, circuits, demand);
  }

  async #recordOneAndTrip(tally: Tally, demand: Demand): Promise<RecordedCircuit[]> {
    const { actor } = this.#options;
    const circuits = await this.#addCalls(tally, demand) ??
      await this.#runner.run(this.#statements.recordOneAndTrip, demand, tally, actor);
    if (this.#options.rules.trip.rates !== undefined) this.#recent.note(circuits[0]!);
    return circuits;
  }

  /** Adds calls to a healthy circuit. Returns nothing where another statement has to record them. */
  async #addCalls(tally: Tally, demand: Demand): Promise<Circuit[] | undefined> {
    const { addCalls, addFailedCalls } = this.#statements;
    const statement = tally.failures > 0 ? addFailedCalls : addCalls;
    if (statement === undefined || !this.#recent.isInSegment(tally.key)) return undefined;
    const circuits = await this.#runner.run(statement, demand, tally);
    return circuits.length > 0 ? circuits : undefined;
  }

  /** The circuits that have only the results of this statement, and are due by these. */
  #dueWhenNew(tallies: readonly Tally[], circuits: readonly Circuit[]): string[] {
    const { rules } = this.#options;
    const isNew = circuits.some(({ version, state }) => version === 0 && state === "closed");
    if (!isNew) return [];
    const byKey = new Map(circuits.map((circuit) => [circuit.key, circuit]));
    return tallies.filter((tally) => {
      const { version, state, successCount, readAt } = byKey.get(tally.key)!;
      if (version !== 0 || state !== "closed" || successCount !== tally.successes) return false;
      const counted = countResults(NOTHING_COUNTED, tally, readAt, rules);
      return isTripDue({ ...counted, state }, readAt, rules);
    }).map(({ key }) => key);
  }

  /** Opens new circuits. The results are recorded: where this fails, the next record opens them. */
  async #trip(due: string[], circuits: Circuit[], demand: Demand): Promise<Circuit[]> {
    const { trip } = this.#statements;
    try {
      const tripped = await this.#runner.change(trip, demand, due, this.#options.actor);
      const byKey = new Map(tripped.map((circuit) => [circuit.key, circuit]));
      return circuits.map((circuit) => byKey.get(circuit.key) ?? circuit);
    } catch {
      return circuits;
    }
  }

  /** Adds to a row that is most probably there. */
  async #addSuccesses(tally: Tally, demand: Demand): Promise<Circuit[]> {
    const { addSuccess, addSuccesses } = this.#statements;
    const statement = tally.successes === 1 ? addSuccess : addSuccesses;
    const circuits = await this.#runner.run(statement, demand, tally);
    return circuits.length > 0 ? circuits : await this.#recordSuccesses(tally, demand);
  }

  async #recordSuccesses(tally: Tally, demand: Demand): Promise<Circuit[]> {
    const circuits = await this.#runner.run(this.#statements.recordOneSuccesses, demand, tally);
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(tally.key);
    return circuits;
  }
}

/**
 * When each circuit was last recorded. In the same segment of the window, the statement that only adds
 * calls most probably finds its row.
 */
class RecentRecords {
  readonly #segmentMs: number;
  readonly #recent = new Map<string, { readAt: number; at: number }>();

  constructor(segmentMs: number) {
    this.#segmentMs = segmentMs;
  }

  note({ key, readAt }: Circuit): void {
    if (this.#recent.size >= MAX_SEEN) this.#recent.clear();
    this.#recent.set(key, { readAt, at: performance.now() });
  }

  isInSegment(key: string): boolean {
    const last = this.#recent.get(key);
    if (last === undefined) return false;
    const now = last.readAt + performance.now() - last.at;
    return Math.trunc(now / this.#segmentMs) === Math.trunc(last.readAt / this.#segmentMs);
  }
}

/** The statements that only add calls, where rates are judged. */
function addStatementsOf(context: StatementContext): {
  addCalls: Statement<[tally: Tally], Circuit[]> | undefined;
  addFailedCalls: Statement<[tally: Tally], Circuit[]> | undefined;
} {
  const { failureWindowMs, trip: { rates } } = context.rules;
  if (rates === undefined) return { addCalls: undefined, addFailedCalls: undefined };
  return {
    addCalls: addCallsStatement(context, rates, false),
    // Failures in a window are judged one by one.
    addFailedCalls: failureWindowMs === undefined
      ? addCallsStatement(context, rates, true)
      : undefined,
  };
}

function statementsOf(context: StatementContext) {
  return {
    record: recordStatement(context),
    recordOne: recordOneStatement(context),
    recordSuccesses: recordSuccessesStatement(context),
    recordOneSuccesses: recordOneSuccessesStatement(context),
    addSuccess: addSuccessesStatement(context, true),
    addSuccesses: addSuccessesStatement(context, false),
    recordAndTrip: recordAndTripStatement(context),
    recordOneAndTrip: recordOneAndTripStatement(context),
    ...addStatementsOf(context),
    trip: tripStatement(context),
  };
}
