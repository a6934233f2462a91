import { textArray } from "../../src/postgres/text_array.ts";
import type { CircuitBreakerSnapshot, PostgresClient } from "../../src/types.ts";
import type { Target } from "./load.ts";

/** A row as the statements below return it, counters and times as text or as numbers. */
interface CircuitRow {
  key: string;
  state: CircuitBreakerSnapshot["state"];
  failure_count: unknown;
  success_count: unknown;
  last_failure_time: unknown;
  last_state_change: unknown;
}

/** A statement for one key or for several, each with how often it was asked for. */
type Statement = (calls: Map<string, number>) => Promise<{ rows: Record<string, unknown>[] }>;

const COLUMNS =
  "c.key, c.state, c.failure_count, c.success_count, c.last_failure_time, c.last_state_change";

/**
 * The least that a store can do that gathers calls. All waiting calls become one bare statement, and
 * each call gets the circuit as that statement left it. The floor serves only circuits that have a row,
 * from one process. It gives no call a count of its own, and has no deadlines, outages or clocks. The
 * difference between the floor and memory is the driver, the server and its disk, for every store.
 */
export function gatheredFloor(client: PostgresClient, table: string): Target {
  const readOne = `select ${COLUMNS} from ${table} c where key = $1`;
  const read = `select ${COLUMNS} from ${table} c where key = any($1::text[])`;
  const countOne = `update ${table} c set success_count = success_count + $2::text::bigint
    where key = $1 returning ${COLUMNS}`;
  const count = `update ${table} c set success_count = success_count + call.successes
    from unnest($1::text[], $2::text::bigint[]) as call (key, successes)
    where c.key = call.key returning ${COLUMNS}`;
  const reads = new Gatherer((calls) => {
    const keys = [...calls.keys()];
    return keys.length === 1 ? client.query(readOne, keys) : client.query(read, [textArray(keys)]);
  });
  const records = new Gatherer((calls) => {
    const [keys, successes] = [[...calls.keys()], [...calls.values()]];
    return keys.length === 1
      ? client.query(countOne, [keys[0], `${successes[0]}`])
      : client.query(count, [textArray(keys), textArray(successes)]);
  });
  return { getState: (key) => reads.join(key), recordSuccess: (key) => records.join(key) };
}

/** Gathers calls while a statement is in flight. */
class Gatherer {
  readonly #send: Statement;
  #calls = new Map<string, number>();
  #next = Promise.withResolvers<Map<string, CircuitBreakerSnapshot>>();
  #isBusy = false;

  constructor(send: Statement) {
    this.#send = send;
  }

  async join(key: string): Promise<CircuitBreakerSnapshot> {
    this.#calls.set(key, (this.#calls.get(key) ?? 0) + 1);
    const { promise } = this.#next;
    if (!this.#isBusy) {
      this.#isBusy = true;
      void this.#sendWaiting();
    }
    return (await promise).get(key)!;
  }

  async #sendWaiting(): Promise<void> {
    // Calls of the same run of the event loop join this statement.
    await undefined;
    while (this.#calls.size > 0) {
      const [calls, { resolve, reject }] = [this.#calls, this.#next];
      this.#calls = new Map();
      this.#next = Promise.withResolvers();
      try {
        const { rows } = await this.#send(calls);
        resolve(
          new Map((rows as unknown as CircuitRow[]).map((row) => [row.key, toSnapshot(row)])),
        );
      } catch (error) {
        reject(error);
      }
    }
    this.#isBusy = false;
  }
}

function toSnapshot(row: CircuitRow): CircuitBreakerSnapshot {
  return {
    state: row.state,
    failureCount: Number(row.failure_count),
    successCount: Number(row.success_count),
    lastFailureTime: Number(row.last_failure_time),
    lastStateChange: Number(row.last_state_change),
  };
}
