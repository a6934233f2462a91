import { type Circuit, type Round, withCounts } from "../circuit.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { PermitOutcome } from "../permit.ts";
import type {
  Admin,
  Answer,
  Calls,
  ClaimAnswer,
  ListedCircuit,
  OnStatement,
  PruneRequest,
  StatementKind,
} from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import { type CircuitState, MAX_COUNT } from "../types.ts";
import type { CircuitTable } from "./circuit_table.ts";
import type { GatherOptions, Joins, PendingKey, Send } from "./coalescer.ts";
import type { Demand } from "./executor.ts";
import { runSingle } from "./single.ts";
import type { ClaimedCircuit, ClaimRequest } from "./statements/probe.ts";
import type { Tally } from "./statements/record.ts";
import type { TableTrimmer } from "./table_trimmer.ts";

/** Keys in one statement: enough to share it, few enough that it ends soon. */
const KEYS = 500;

/** Calls that may wait, which bounds the memory of a flood. */
const MAX_WAITING = 100_000;

/** Has the calls of one kind answered by statements. */
export type Gather = <Answer extends { key: string }>(
  send: Send<Answer>,
  options: GatherOptions,
) => Joins<Answer>;

/** What a dispatcher needs beside its table. */
export interface DispatcherOptions {
  readonly gather: Gather;
  readonly deadlines: CallDeadlines;
  /** Keeps the table within its bound, where it has one. */
  readonly trimmer: TableTrimmer | undefined;
  readonly onStatement: OnStatement;
}

/**
 * Sends statements for calls. One statement answers all calls of a kind that began while the
 * statement before it was in flight, where calls may share one. Reads never wait behind writes.
 *
 * Each caller gets its answer only after its own effect is committed. The calls of a statement take
 * effect in a serial order: failures first, then successes, each with its own count.
 */
export class Dispatcher implements Calls, Admin {
  readonly #table: CircuitTable;
  readonly #options: DispatcherOptions;
  readonly #reads: Joins<Circuit>;
  readonly #records: Joins<Circuit>;
  readonly #claims: Joins<ClaimedCircuit>;
  readonly #moves: Record<CircuitState, Joins<Circuit>>;

  constructor(table: CircuitTable, options: DispatcherOptions) {
    this.#table = table;
    this.#options = options;
    const { trimmer, gather } = options;
    const gathered = <Circuits extends Circuit>(
      kind: StatementKind,
      action: string,
      send: Send<Circuits>,
    ) => gather(send, { kind, action, keys: KEYS, waiting: MAX_WAITING });
    this.#reads = gathered(
      "read",
      "read circuit",
      (keys, demand) => table.read(keys.map(({ key }) => key), demand),
    );
    this.#records = gathered(
      "record",
      "record result",
      (keys, demand) =>
        trimmer === undefined
          ? table.record(keys, demand)
          : this.#recordAndTrim(trimmer, keys, demand),
    );
    this.#claims = gathered(
      "claim",
      "claim probe",
      (keys, demand) => table.claim(keys.map(toClaimRequest), demand),
    );
    const movesTo = (to: CircuitState) =>
      gathered<Circuit>(
        "transition",
        "move circuit",
        (keys, demand) => table.transition(keys.map(({ key }) => key), to, demand),
      );
    this.#moves = {
      closed: movesTo("closed"),
      open: movesTo("open"),
      "half-open": movesTo("half-open"),
    };
  }

  read(call: Call, key: string): Promise<Answer> {
    return this.#reads.join(call, key).answer.then(fromDatabase);
  }

  recordSuccess(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    const pending = this.#records.join(call, key);
    if (isSlow) pending.slow++;
    const place = ++pending.successes;
    return pending.answer.then((answer) => {
      const circuit = answer!;
      const later = pending.successes - place;
      return fromDatabase(
        later === 0
          ? circuit
          : withCounts(circuit, circuit.failureCount, before(circuit.successCount, later)),
      );
    });
  }

  recordFailure(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    const pending = this.#records.join(call, key);
    if (isSlow) pending.slow++;
    const place = ++pending.failures;
    return pending.answer.then((answer) => {
      const circuit = answer!;
      return fromDatabase(withCounts(
        circuit,
        before(circuit.failureCount, pending.failures - place),
        before(circuit.successCount, pending.successes),
      ));
    });
  }

  transition(call: Call, key: string, to: CircuitState): Promise<Answer> {
    return this.#moves[to].join(call, key).answer.then(fromDatabase);
  }

  async claim(call: Call, key: string, patienceMs: number): Promise<ClaimAnswer> {
    const pending = this.#claims.join(call, key);
    pending.patienceMs = Math.max(pending.patienceMs, patienceMs);
    const place = pending.calls;
    const circuit = await pending.answer;
    const isAdmitted = circuit !== undefined && place <= circuit.granted;
    return { circuit, source: "database", isAdmitted };
  }

  // The calls below are rare, and each differs: they share no statement.

  settle(call: Call, key: string, outcome: PermitOutcome, round: Round): Promise<Answer> {
    return this.#single(
      call,
      "settle",
      "settle probe",
      (demand) => this.#table.settle(key, outcome, round, demand),
    ).then(fromDatabase);
  }

  force(call: Call, key: string, force: Force): Promise<Answer> {
    return this.#single(
      call,
      "force",
      "force circuit",
      (demand) => this.#table.force(key, force, demand),
    ).then(fromDatabase);
  }

  reset(call: Call, key: string, act: Act): Promise<Answer> {
    return this.#single(
      call,
      "reset",
      "reset circuit",
      (demand) => this.#table.reset(key, act, demand),
    ).then(fromDatabase);
  }

  list(call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]> {
    return this.#single(
      call,
      "list",
      "list circuits",
      (demand) => this.#table.list(options, demand),
    );
  }

  async readMany(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    const found: Circuit[] = [];
    for (let i = 0; i < keys.length; i += KEYS) {
      const some = keys.slice(i, i + KEYS);
      found.push(
        ...await this.#single(
          call,
          "read",
          "read circuits",
          (demand) => this.#table.read(some, demand),
          some.length,
        ),
      );
    }
    return found;
  }

  async prune(call: Call, { idleMs, limit, isElected }: PruneRequest): Promise<number> {
    let removed = 0;
    // Half of the time is kept for a batch that takes longer than the ones before.
    const lastBeginning = call.beganAt + (call.dueAt - call.beganAt) / 2;
    while (removed < limit) {
      const request = { idleMs, limit: Math.min(limit - removed, KEYS), isElected };
      const batch = await this.#single(
        call,
        "prune",
        "prune circuits",
        (demand) => this.#table.prune(request, demand),
      );
      removed += batch;
      if (batch < request.limit || performance.now() > lastBeginning) break;
    }
    return removed;
  }

  async #recordAndTrim(
    trimmer: TableTrimmer,
    tallies: readonly Tally[],
    demand: Demand,
  ): Promise<Circuit[]> {
    const circuits = await this.#table.record(tallies, demand);
    trimmer.onRecorded(tallies, circuits);
    return circuits;
  }

  #single<Result>(
    call: Call,
    kind: StatementKind,
    action: string,
    send: (demand: Demand) => Promise<Result>,
    keys = 1,
  ): Promise<Result> {
    return runSingle(this.#options, call, { kind, action, keys }, send);
  }
}

function toClaimRequest({ key, calls, patienceMs }: PendingKey<ClaimedCircuit>): ClaimRequest {
  return { key, wanted: calls, patienceMs };
}

function fromDatabase<Found extends Circuit | undefined>(circuit: Found): Answer<Found> {
  return { circuit, source: "database" };
}

/** A counter as it was before the last calls were counted; one that is full was full before. */
function before(count: number, calls: number): number {
  return count === MAX_COUNT ? MAX_COUNT : count - calls;
}
