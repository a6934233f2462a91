import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CircuitBreakerStoreError,
  isOutage,
  SchemaError,
  StoreUnavailableError,
} from "../../src/errors.ts";
import { textOf } from "../../src/postgres/codec.ts";
import { type Demand, execute, type Execution } from "../../src/postgres/executor.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import type { Row } from "../../src/postgres/statements/context.ts";
import type { PostgresClient } from "../../src/types.ts";

const READ = { action: "read circuit", text: "select 1", isRead: true };
const RECORD = { action: "record result", text: "insert into circuits" };
const PARAMS = ["api", null];
const DONE = { rows: [{ circuit: "done" }] };

function demandOf(isAwaited: () => boolean): Demand {
  return {
    sentAt: performance.now(),
    refusal: undefined,
    get isAwaited() {
      return isAwaited();
    },
  };
}

/** Stands for a driver that throws instead of rejecting. */
class Thrown {
  constructor(readonly error: unknown) {}
}

/** A client that answers by a script, the last answer for ever. */
class Stage {
  readonly queries: unknown[][] = [];
  readonly heldUpMoments: number[] = [];
  readOnly = 0;
  isAwaited = true;
  wasHeldUp = false;
  readonly #script: unknown[];

  constructor(...script: unknown[]) {
    this.#script = script;
  }

  run(statement: typeof READ | typeof RECORD, isAwaited = () => this.isAwaited): Promise<unknown> {
    const decode = (rows: Row[]) => textOf(rows[0]!.circuit);
    return execute(this.#execution, statement, PARAMS, demandOf(isAwaited), decode);
  }

  get #execution(): Execution {
    return {
      client: { query: (...query: unknown[]) => this.#query(query) } as PostgresClient,
      table: parseTableName("test", "circuits"),
      onReadOnly: () => void this.readOnly++,
      wasHeldUpSince: (moment) => {
        this.heldUpMoments.push(moment);
        return this.wasHeldUp;
      },
    };
  }

  #query(query: unknown[]): unknown {
    this.queries.push(query);
    const answer = this.#script.length > 1 ? this.#script.shift() : this.#script[0];
    if (answer instanceof Thrown) throw answer.error;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  }
}

function refused(code: string): Error {
  return Object.assign(new Error(`refused with ${code}`), { code });
}

function lost(): Error {
  return Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
}

for (const code of ["40001", "40P01", "26000", "25006"]) {
  for (const statement of [READ, RECORD]) {
    const name = `execute sends a ${statement === READ ? "read" : "record"} again after ${code}`;
    Deno.test(`${name}, while it is awaited`, async () => {
      const stage = new Stage(refused(code), refused(code), DONE);
      assertEquals(await stage.run(statement), "done");
      assertEquals(stage.queries, Array(3).fill([statement.text, PARAMS]));
      assertEquals(stage.readOnly, code === "25006" ? 2 : 0);
    });
  }

  Deno.test(`execute sends nothing again after ${code} once it is not awaited`, async () => {
    const stage = new Stage(refused(code));
    stage.isAwaited = false;
    const error = await assertRejects(() => stage.run(RECORD), CircuitBreakerStoreError);
    assertEquals([error.sqlState, stage.queries.length], [code, 1]);
  });

  Deno.test(`execute sends nothing again after ${code} that is given up during a pause`, async () => {
    const stage = new Stage(refused(code), DONE);
    let asked = 0;
    const error = await assertRejects(
      () => stage.run(RECORD, () => ++asked === 1),
      CircuitBreakerStoreError,
    );
    assertEquals([error.sqlState, stage.queries.length], [code, 1]);
  });
}

Deno.test("execute finds the SQLSTATE wherever a driver puts it", async () => {
  for (const properties of [{ fields: { code: "40001" } }, { code: "ERR", errno: "40001" }]) {
    const stage = new Stage(Object.assign(new Error("rolled back"), properties), DONE);
    assertEquals(await stage.run(RECORD), "done");
  }
});

Deno.test("execute says that the server takes no writes", async () => {
  const stage = new Stage(refused("25006"));
  stage.isAwaited = false;
  const error = await assertRejects(() => stage.run(READ), StoreUnavailableError);
  assertEquals(
    error.message,
    "Cannot use the database: the server takes no writes (a standby, or a failover in progress)",
  );
  assertEquals(stage.readOnly, 1);
});

Deno.test("execute reads again where a session says in its answer that it takes no writes", async () => {
  const stale = { rows: [{ circuit: "read-only" }] };
  const stage = new Stage(stale, stale, DONE);
  assertEquals(await stage.run(READ), "done");
  assertEquals([stage.queries.length, stage.readOnly], [3, 2]);
});

Deno.test("execute reads again when the connection was lost, and records never", async () => {
  for (const error of [lost(), refused("57P01"), new Error("Connection terminated unexpectedly")]) {
    const reading = new Stage(error, error, DONE);
    assertEquals(await reading.run(READ), "done");
    assertEquals(reading.queries.length, 3);

    const recording = new Stage(error, DONE);
    const failure = await assertRejects(() => recording.run(RECORD), StoreUnavailableError);
    assertEquals(failure.message, `Cannot record result: ${error.message}`);
    assertEquals(failure.cause, error);
    assertEquals(recording.queries.length, 1);

    const abandoned = new Stage(error, DONE);
    abandoned.isAwaited = false;
    await assertRejects(() => abandoned.run(READ), StoreUnavailableError);
    assertEquals(abandoned.queries.length, 1);
  }
});

Deno.test("execute reads again what a driver gave up while the process was held up, and records never", async () => {
  const timeout = new Error("Query read timeout");
  const began = performance.now();
  const reading = new Stage(timeout, DONE);
  reading.wasHeldUp = true;
  assertEquals(await reading.run(READ), "done");
  const [moment] = reading.heldUpMoments;
  assert(moment! >= began && moment! <= performance.now());

  const recording = new Stage(timeout, DONE);
  recording.wasHeldUp = true;
  await assertRejects(() => recording.run(RECORD), StoreUnavailableError, timeout.message);
  assertEquals(recording.queries.length, 1);

  // What the server said is no matter of time.
  const answered = new Stage(refused("57014"), DONE);
  answered.wasHeldUp = true;
  await assertRejects(() => answered.run(READ), CircuitBreakerStoreError);
  assertEquals(answered.queries.length, 1);

  const unhindered = new Stage(timeout, DONE);
  await assertRejects(() => unhindered.run(READ), StoreUnavailableError, timeout.message);
  assertEquals(unhindered.queries.length, 1);
});

Deno.test("execute reports every other error at once", async () => {
  const errors = [refused("42P01"), refused("42501"), refused("22P02"), refused("53300")];
  for (const error of errors) {
    const stage = new Stage(error, DONE);
    const failure = await assertRejects(() => stage.run(READ), CircuitBreakerStoreError);
    assertEquals([failure.cause, stage.queries.length], [error, 1]);
  }
  const stage = new Stage(refused("42P01"));
  const missing = await assertRejects(() => stage.run(READ), SchemaError);
  assertEquals(
    missing.message,
    'Cannot read circuit: the table "circuits" does not exist, run migrate(client, table) first',
  );
});

Deno.test("execute takes a client that throws as one that rejects", async () => {
  const retried = new Stage(new Thrown(refused("40001")), DONE);
  assertEquals(await retried.run(RECORD), "done");
  const broken = new Stage(new Thrown(new TypeError("sql is not a function")));
  const error = await assertRejects(() => broken.run(READ), CircuitBreakerStoreError);
  assertEquals(
    error.message,
    'Cannot read circuit: sql is not a function: "client" must send the text with its $1 ' +
      "placeholders and the params as they are",
  );
  assert(!isOutage(error));
});

Deno.test("execute takes a client that answers without a promise", async () => {
  const client = { query: () => DONE } as unknown as PostgresClient;
  const table = parseTableName("test", "circuits");
  const execution = { client, table, onReadOnly: () => {}, wasHeldUpSince: () => false };
  assertEquals(
    await execute(execution, READ, PARAMS, demandOf(() => true), (rows) => rows),
    DONE.rows,
  );
});

Deno.test("execute says that a client must return rows, once, and that is no outage", async () => {
  const answers: [answer: unknown, shown: string][] = [
    [[{ circuit: "done" }], "an array"],
    [undefined, "undefined"],
    [null, "null"],
    [{ rowCount: 1 }, "an object"],
    [{ rows: 7 }, '"rows" that are 7'],
  ];
  for (const [answer, shown] of answers) {
    for (const statement of [READ, RECORD]) {
      const stage = new Stage(answer);
      const error = await assertRejects(() => stage.run(statement), CircuitBreakerStoreError);
      assert(error.message.includes(`received ${shown}`), error.message);
      assert(!isOutage(error));
      assertEquals(stage.queries.length, 1);
    }
  }
});
