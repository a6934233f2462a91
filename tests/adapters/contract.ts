/**
 * What the store may expect of any client, whatever driver is behind it. The runner is injected, so
 * the same tests run under Deno and Bun.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { PostgresClient } from "../../src/types.ts";
import type { TestRunner } from "../conformance/session.ts";

/** A driver to test. */
export interface AdapterUnderTest {
  readonly name: string;
  /** Whether a statement with parameters stays prepared on its connection. */
  readonly prepares: boolean;
  /** Whether a connection that the server ended is replaced. */
  readonly reconnects: boolean;
  /** Opens the driver on at most `max` connections to a real server. */
  open(max: number): Promise<{ readonly client: PostgresClient } & AsyncDisposable>;
}

/** Defines every contract test for one driver. */
export function adapterContract(runner: TestRunner, adapter: AdapterUnderTest): void {
  const test = (name: string, body: (client: PostgresClient) => Promise<void>, max = 1) =>
    runner.test(`${adapter.name}: ${name}`, async () => {
      await using opened = await adapter.open(max);
      await body(opened.client);
    });

  test("rows are keyed by column and keep their order", async (client) => {
    const { rows } = await client.query(
      "select n::int as n, 'row ' || n as row_label from generate_series(1, $1::int) as n order by n",
      [3],
    );
    assertEquals([...rows], [
      { n: 1, row_label: "row 1" },
      { n: 2, row_label: "row 2" },
      { n: 3, row_label: "row 3" },
    ]);
  });

  test("a statement without rows returns none", async (client) => {
    const { rows } = await client.query("select 1 as n where $1::int = 0", [1]);
    assertEquals([...rows], []);
    assertEquals([...(await client.query("select 1 as n where false")).rows], []);
  });

  test("scalars come back as something Number() reads exactly", async (client) => {
    const [row] = await rowsOf(
      client,
      "select $1::int as small, $2::bigint as large, $3::float8 as fraction, $4::bigint as text",
      [-7, Number.MAX_SAFE_INTEGER, 0.1, "-9007199254740991"],
    );
    assertEquals(Number(row?.small), -7);
    assertEquals(Number(row?.large), Number.MAX_SAFE_INTEGER);
    assertEquals(Number(row?.fraction), 0.1);
    assertEquals(Number(row?.text), Number.MIN_SAFE_INTEGER);
    assertEquals(await rowsOf(client, "select true as yes, 'a'::text as a"), [
      { yes: true, a: "a" },
    ]);
  });

  test("null goes in and comes out as null", async (client) => {
    assertEquals(
      await rowsOf(client, "select $1::text as t, $2::bigint as n, $3::text is null as is_null", [
        null,
        null,
        null,
      ]),
      [{ t: null, n: null, is_null: true }],
    );
  });

  test("text comes back as it went in", async (client) => {
    for (const text of TEXTS) {
      assertEquals(
        await rowsOf(client, "select $1::text as t, octet_length($1::text) as bytes", [text]),
        [{ t: text, bytes: new TextEncoder().encode(text).length }],
      );
    }
  });

  test("an array goes in as its text literal", async (client) => {
    const rows = await rowsOf(
      client,
      "select item from unnest($1::text::text[]) with ordinality as t (item, place) order by place",
      [arrayLiteral(TEXTS)],
    );
    assertEquals(rows.map(({ item }) => item), TEXTS);
    assertEquals(await rowsOf(client, "select unnest($1::text::text[]) as item", ["{}"]), []);
  });

  test("the server's errors come with their SQLSTATE, and the connection lives on", async (client) => {
    const failures: [state: string, text: string, params?: unknown[]][] = [
      ["42P01", "select * from no_such_table"],
      ["42P01", "select * from no_such_table where $1::int = 1", [1]],
      ["22P02", "select $1::text::int as n", ["x"]],
      ["22012", "select 1 / $1::int as n", [0]],
      ["P0001", "do $$ begin raise exception 'refused'; end $$"],
      ["42601", "no such statement"],
    ];
    for (const [state, text, params] of failures) {
      const error = await assertRejects(() => client.query(text, params));
      assert(error instanceof Error);
      assertEquals(sqlStateOf(error), state);
      assertEquals(await rowsOf(client, "select 1 as n"), [{ n: 1 }]);
    }
  });

  test("a statement that failed for want of its table runs once the table is there", async (client) => {
    const table = tableName();
    const read = `select n from ${table} where n = $1::int`;
    assertEquals(sqlStateOf(await assertRejects(() => client.query(read, [1]))), "42P01");
    await client.query(`create table ${table} (n int)`);
    assertEquals(await rowsOf(client, read, [1]), []);
  });

  test("calls at once each get their own rows", async (client) => {
    const numbers = Array.from({ length: 60 }, (_, index) => index);
    const answers = await Promise.all(
      numbers.map((n) => rowsOf(client, "select $1::int as n", [n])),
    );
    assertEquals(answers, numbers.map((n) => [{ n }]));
  }, 4);

  test("a failed call takes none of those beside it with it", async (client) => {
    const numbers = Array.from({ length: 20 }, (_, index) => index);
    const results = await Promise.allSettled(
      numbers.map((n) => client.query("select 6 / ($1::int % 2) as n", [n])),
    );
    assertEquals(
      results.map(({ status }) => status),
      numbers.map((n) => n % 2 === 0 ? "rejected" : "fulfilled"),
    );
  }, 2);

  test("a block without parameters runs", async (client) => {
    const table = tableName();
    await client.query(`do $$
      declare item text := $q$it's "quoted"$q$;
      begin
        create table ${table} (item text);
        insert into ${table} values (item);
      end
    $$`);
    assertEquals(await rowsOf(client, `select item from ${table}`), [{ item: `it's "quoted"` }]);
    await client.query(`drop table ${table}`, []);
    assertEquals(await rowsOf(client, "select to_regclass($1::text) is null as gone", [table]), [
      { gone: true },
    ]);
  });

  test("statements that write return what their returning clause names", async (client) => {
    const table = tableName();
    await client.query(`create table ${table} (n int primary key)`);
    const insert = `insert into ${table} (n) values ($1::int)`;
    assertEquals(await rowsOf(client, insert, [1]), []);
    assertEquals(await rowsOf(client, `${insert} returning n`, [2]), [{ n: 2 }]);
    assertEquals(await rowsOf(client, `delete from ${table} where n = $1::int`, [1]), []);
  });

  test("connections go back to the pool, after an error as well", async (client) => {
    for (let call = 0; call < 5; call++) {
      await assertRejects(() => client.query("select 1 / $1::int as n", [0]));
      assertEquals(await rowsOf(client, "select $1::int as n", [call]), [{ n: call }]);
    }
  });

  if (adapter.reconnects) {
    test("a connection that the server ended is replaced", async (client) => {
      const [before] = await rowsOf(client, "select pg_backend_pid() as pid");
      assert(await assertRejects(() => client.query(END_CONNECTION, [1])) instanceof Error);
      // How many calls still meet the old connection is the driver's affair, but not for ever.
      let after: Record<string, unknown> | undefined;
      for (let call = 0; call < 20 && after === undefined; call++) {
        [after] = await rowsOf(client, "select pg_backend_pid() as pid").catch(() => []);
      }
      assert(after !== undefined && after.pid !== before?.pid);
    });
  }

  const prepared = adapter.prepares ? "is prepared once" : "leaves nothing prepared";
  test(`a statement used many times ${prepared}`, async (client) => {
    const marker = crypto.randomUUID();
    for (let call = 0; call < 5; call++) {
      await client.query(`select $1::int as n /* ${marker} */`, [call]);
      await client.query(`select 1 as n /* ${marker} without parameters */`);
    }
    const rows = await rowsOf(
      client,
      "select statement from pg_prepared_statements where strpos(statement, $1::text) > 0",
      [marker],
    );
    assertEquals(
      rows,
      adapter.prepares ? [{ statement: `select $1::int as n /* ${marker} */` }] : [],
    );
  });
}

/** The SQLSTATE of any driver's error, as the store reads it. */
export function sqlStateOf(error: unknown): unknown {
  const { fields, errno, code } = error as {
    fields?: { code?: unknown };
    errno?: unknown;
    code?: unknown;
  };
  if (fields?.code !== undefined) return fields.code;
  return typeof errno === "string" ? errno : code;
}

const END_CONNECTION = "select pg_terminate_backend(pg_backend_pid()) as done where $1::int = 1";

/** The texts that drivers get wrong first. */
const TEXTS = [
  "",
  "plain",
  `it's "quoted" \\ and \\\\ back`,
  "a,b {c} (d) NULL",
  "NULL",
  "line\nbreak\ttab\r\n",
  "$1 ? :name %s ${x} --",
  "é ü 日本語 🎉 \u{10FFFF}",
  " padded ",
];

function arrayLiteral(items: string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** A table that no other test uses. */
function tableName(): string {
  return `contract_${crypto.randomUUID().replaceAll("-", "")}`;
}

async function rowsOf(
  client: PostgresClient,
  text: string,
  params?: unknown[],
): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query(text, params);
  return rows.map((row) => ({ ...row }));
}
