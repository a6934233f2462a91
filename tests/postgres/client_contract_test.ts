import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { CircuitBreakerStoreError, isUnavailable } from "../../src/errors.ts";
import type { PostgresClient } from "../../src/types.ts";
import { rowsOf } from "../../src/postgres/client_contract.ts";
import { openNodePostgres, openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

const START =
  'Cannot read rows: "client" must resolve query(text, params) to an object with rows as ' +
  "objects, received ";
const WRAP = "wrap it as { query: async (text, params) => ({ rows: await run(text, params) }) }";

function messageFor(result: unknown): string {
  const error = assertThrows(() => rowsOf(result), CircuitBreakerStoreError);
  assertFalse(isUnavailable(error));
  assert(error.message.startsWith(START), error.message);
  return error.message.slice(START.length);
}

Deno.test("rowsOf returns the rows themselves", () => {
  for (const rows of [[], [{ circuit: "t" }], [{ a: 1 }, { a: 2 }]]) {
    assert(rowsOf({ rows, command: "SELECT" }) === rows);
  }
  assertEquals(rowsOf(Object.assign([], { rows: [{ a: 1 }] })), [{ a: 1 }]);
});

Deno.test("rowsOf says what came instead, and what to do", () => {
  const neon = `an array: ${WRAP}; for Neon use fromNeon(sql)`;
  const promise = "return the driver's promise, not the result of its callback form";
  const wrong: [result: unknown, said: string][] = [
    [[], neon],
    [[{ circuit: "t" }], neon],
    [undefined, `undefined: ${promise}`],
    [null, `null: ${promise}`],
    [{}, `an object without "rows": ${WRAP}`],
    [{ records: [] }, `an object without "rows": ${WRAP}`],
    [new Map(), `an instance of Map without "rows": ${WRAP}`],
    [{ rows: 3 }, `"rows" that are 3: ${WRAP}`],
    [{ rows: null }, `"rows" that are null: ${WRAP}`],
    [{ rows: [["t"]] }, "rows as arrays: switch off the driver's array mode"],
    ["postgres://user:hunter2@db", `a string of 26 characters: ${WRAP}`],
    [5, `5: ${WRAP}`],
  ];
  for (const [result, said] of wrong) assertEquals(messageFor(result), said);
});

Deno.test("rowsOf knows what real drivers return, rightly and wrongly wired", async () => {
  await using database = await createDatabase();
  await using js = await openPostgresJs(database.url, { max: 1 });
  await using node = await openNodePostgres(database.url, { max: 1 });
  const text = "select 1 as one";
  const clients: PostgresClient[] = [js.client, node.client, node.raw];
  for (const client of clients) {
    assertEquals(Array.from(rowsOf(await client.query(text))), [{ one: 1 }]);
  }
  assert(messageFor(await js.raw.unsafe(text)).startsWith("an array: "));
  const arrays = await node.raw.query({ text, rowMode: "array" });
  assert(messageFor(arrays).startsWith("rows as arrays: "));
});
