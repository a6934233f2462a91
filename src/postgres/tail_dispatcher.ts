import type { Circuit } from "../circuit.ts";
import type {
  Answer,
  Deferred,
  Flush,
  FlushResult,
  Instance,
  LogCursor,
  LogPage,
  LogRequest,
  SeenInstance,
  StatementKind,
  Tail,
  TailPage,
} from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CircuitTable } from "./circuit_table.ts";
import type { Demand } from "./executor.ts";
import { runSingle, type SingleOptions } from "./single.ts";

/** Circuits in one statement that reads in the background, which no call waits for. */
const READ_KEYS = 2000;

/** Sends the statements of the parts that work in the background, one for each call. */
export class TailDispatcher implements Tail {
  readonly #table: CircuitTable;
  readonly #options: SingleOptions;
  readonly #onAdded: (rows: number) => void;

  /** `onAdded` is called with the number of rows that a statement made. */
  constructor(table: CircuitTable, options: SingleOptions, onAdded: (rows: number) => void) {
    this.#table = table;
    this.#options = options;
    this.#onAdded = onAdded;
  }

  async vote(call: Call, key: string): Promise<Answer<Circuit>> {
    const circuit = await this.#run(
      call,
      "vote",
      "vote for opening",
      1,
      (demand) => this.#table.votes.vote(key, demand),
    );
    return { circuit, source: "database" };
  }

  withdraw(call: Call, keys: readonly string[]): Promise<void> {
    return this.#run(
      call,
      "vote",
      "withdraw vote",
      keys.length,
      (demand) => this.#table.votes.withdraw(keys, demand),
    );
  }

  tail(call: Call, after: LogCursor | undefined, limit: number): Promise<TailPage> {
    return this.#run(
      call,
      "refresh",
      "read changes",
      0,
      (demand) => this.#table.log.tail(after, limit, demand),
    );
  }

  log(call: Call, request: LogRequest): Promise<LogPage> {
    return this.#run(
      call,
      "history",
      "read changes",
      0,
      (demand) => this.#table.log.page(request, demand),
    );
  }

  async readKnown(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    const found: Circuit[] = [];
    for (let i = 0; i < keys.length; i += READ_KEYS) {
      const some = keys.slice(i, i + READ_KEYS);
      found.push(
        ...await this.#run(
          call,
          "refresh",
          "read circuits",
          some.length,
          (demand) => this.#readKnown(some, demand),
        ),
      );
    }
    return found;
  }

  /** Also notices circuits that another program has removed. */
  async #readKnown(keys: readonly string[], demand: Demand): Promise<Circuit[]> {
    const circuits = await this.#table.read(keys, demand);
    if (circuits.length === keys.length || keys.length === 1) return circuits;
    const found = new Set(circuits.map(({ key }) => key));
    const removed = await this.#table.findRemoved(keys.filter((key) => !found.has(key)), demand);
    return removed.length === 0
      ? circuits
      : [...circuits, ...await this.#table.noticeRemoved(removed, demand)];
  }

  instances(call: Call): Promise<SeenInstance[]> {
    return this.#run(call, "list", "list instances", 0, (demand) => this.#table.instances(demand));
  }

  register(call: Call, instance: Instance): Promise<void> {
    return this.#run(
      call,
      "flush",
      "register instance",
      0,
      (demand) => this.#table.register(instance, demand),
    );
  }

  async flush(call: Call, instance: Instance, flush: Flush): Promise<FlushResult> {
    const leftOver = await this.#run(
      call,
      "flush",
      "count successes",
      flush.deferred.length,
      (demand) => this.#table.flush(instance, flush, demand),
    );
    return leftOver === undefined
      ? await this.findFlush(call, instance, flush)
      : { outcome: "done", leftOver };
  }

  findFlush(call: Call, instance: Instance, flush: Flush): Promise<FlushResult> {
    return this.#run(
      call,
      "flush",
      "count successes",
      flush.deferred.length,
      (demand) => this.#table.findFlush(instance, flush, demand),
    );
  }

  async addCircuits(call: Call, keys: readonly string[]): Promise<void> {
    const added = await this.#run(
      call,
      "flush",
      "add circuits",
      keys.length,
      (demand) => this.#table.add(keys, demand),
    );
    this.#onAdded(added);
  }

  /** Circuits without a row get one first. */
  async countDeferred(call: Call, deferred: readonly Deferred[]): Promise<void> {
    await this.#run(
      call,
      "flush",
      "count successes",
      deferred.length,
      async (demand) => {
        const found = new Set(await this.#table.countDeferred(deferred, demand));
        const missing = deferred.filter(({ key }) => !found.has(key));
        if (missing.length === 0) return;
        this.#onAdded(await this.#table.add([...new Set(missing.map(({ key }) => key))], demand));
        await this.#table.countDeferred(missing, demand);
      },
    );
  }

  #run<Result>(
    call: Call,
    kind: StatementKind,
    action: string,
    keys: number,
    send: (demand: Demand) => Promise<Result>,
  ): Promise<Result> {
    return runSingle(this.#options, call, { kind, action, keys }, send);
  }
}
