import { assert, assertEquals, assertThrows } from "@std/assert";
import { migrate } from "../../mod.ts";
import { type Circuit, NO_DETAILS } from "../../src/circuit.ts";
import { CircuitBreakerStoreError, StoreUnavailableError } from "../../src/errors.ts";
import type { CircuitRules } from "../../src/options/store_options.ts";
import type { ListedCircuit } from "../../src/ports.ts";
import { textOf, toCircuits } from "../../src/postgres/codec.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import { type Statement, StatementContext } from "../../src/postgres/statements/context.ts";
import {
  listStatement,
  readManyStatement,
  readOneStatement,
} from "../../src/postgres/statements/read.ts";
import { MAX_COUNT } from "../../src/types.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { rulesOf } from "../support/rules.ts";

const TABLE = "stoma_circuit_breakers";
const NOW = 1_700_000_500_000;
const RULES = rulesOf({
  resetTimeoutMs: 1000,
  halfOpenMax: 2,
  probeTimeoutMs: 1000,
  failureThreshold: 3,
});

/** A row with a value in every column. */
const ROW = {
  key: "api",
  state: "half-open",
  failure_count: 5,
  success_count: 7,
  last_failure_time: 1_700_000_000_001,
  last_state_change: 1_700_000_000_002,
  version: 11,
  zeroed_version: 9,
  opened_at: 1_700_000_000_000,
  logged_state: "half-open",
  probe_count: 2,
  probe_expires_at: 1_700_000_000_003,
  probe_settled: 1,
  reset_ms: 2000,
  suspect_at: 1_700_000_000_004,
  vote_labels: "{gateway-1}",
  vote_seen: "{1700000000005}",
  recent_failures: `{${NOW - 10},${NOW - 20},${NOW - 900}}`,
} as const;

const CIRCUIT: Circuit = {
  key: "api",
  state: "half-open",
  failureCount: 5,
  successCount: 7,
  lastFailureTime: 1_700_000_000_001,
  lastStateChange: 1_700_000_000_002,
  version: 11,
  zeroedVersion: 9,
  openedAt: 1_700_000_000_000,
  probeCount: 2,
  probeExpiresAt: 1_700_000_000_003,
  forced: undefined,
  details: {
    probeSettled: 1,
    resetMs: 2000,
    suspectAt: 1_700_000_000_004,
    votes: [{ label: "gateway-1", seenAt: 1_700_000_000_005 }],
  },
  readAt: NOW,
};

async function open() {
  await using cleanup = new AsyncDisposableStack();
  const { url } = cleanup.use(await createDatabase());
  const { client, raw } = cleanup.use(await openPostgresJs(url, { max: 1 }));
  await migrate(client);
  const kept = cleanup.move();

  /** Runs a statement with a caller's clock, which makes the time exact. */
  async function run<Args extends unknown[]>(
    statement: Statement<Args, Circuit[] | "removed">,
    ...args: Args
  ): Promise<Circuit[]> {
    const { rows } = await client.query(statement.text, [`${NOW}`, ...statement.encode(...args)]);
    const circuits = statement.decode(rows, ...args);
    assert(circuits !== "removed");
    return circuits;
  }

  return {
    url,
    raw,
    async insert(row: Record<string, unknown>): Promise<void> {
      await raw`insert into ${raw(TABLE)} ${raw(row)}`;
    },
    /** A circuit as each of the statements reads it. */
    async read(key: string, rules = RULES): Promise<Circuit | undefined> {
      const context = contextOf(rules);
      const [one] = await run(readOneStatement(context), key);
      const [many] = await run(readManyStatement(context), [key, `${key} that is absent`]);
      const page = { state: undefined, after: undefined, limit: 1000 };
      const listed = (await run(listStatement(context, false), page)).map((each) => {
        const { refusedCount, ...circuit } = each as ListedCircuit;
        assertEquals(refusedCount, 0);
        return circuit;
      });
      assertEquals(many, one);
      // A page has no row that holds nothing, as that of a circuit that was reset.
      assertEquals(listed.find((each) => each.key === key), isBlank(one) ? undefined : one);
      return one;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function isBlank(circuit: Circuit | undefined): boolean {
  return circuit?.state === "closed" && circuit.lastStateChange === 0 &&
    circuit.lastFailureTime === 0 && circuit.failureCount + circuit.successCount === 0 &&
    circuit.forced === undefined;
}

function contextOf(rules: CircuitRules): StatementContext {
  return new StatementContext(parseTableName("test", TABLE), rules, true, "default");
}

Deno.test("toCircuits returns every field of a row, from every read", async () => {
  await using db = await open();
  await db.insert(ROW);
  assertEquals(await db.read("api"), CIRCUIT);
  // Without probing there are no probes, and with a window its failures count.
  assertEquals(await db.read("api", { ...RULES, probing: undefined, failureWindowMs: 100 }), {
    ...CIRCUIT,
    failureCount: 2,
    probeCount: 0,
    probeExpiresAt: 0,
  });
});

Deno.test("toCircuits returns no circuit without a row, and defaults for a row without values", async () => {
  await using db = await open();
  assertEquals(await db.read("api"), undefined);
  await db.insert({ key: "api" });
  assertEquals(await db.read("api"), {
    key: "api",
    state: "closed",
    failureCount: 0,
    successCount: 0,
    lastFailureTime: 0,
    lastStateChange: 0,
    version: 0,
    zeroedVersion: 0,
    openedAt: 0,
    probeCount: 0,
    probeExpiresAt: 0,
    forced: undefined,
    details: NO_DETAILS,
    readAt: NOW,
  });
});

Deno.test("toCircuits returns each state as it is", async () => {
  await using db = await open();
  for (const state of ["closed", "open", "half-open"]) {
    await db.insert({ key: state, state, logged_state: state });
    assertEquals((await db.read(state))?.state, state);
  }
});

Deno.test("toCircuits says where the fleet sees another state than the log said last", async () => {
  await using db = await open();
  const rows = [
    { state: "open" },
    { state: "open", logged_state: "open", forced_state: "closed" },
    { state: "open", logged_state: "closed", forced_state: "closed", forced_until: NOW },
    { state: "half-open", logged_state: "open" },
  ];
  for (const [i, row] of rows.entries()) {
    await db.insert({ key: `unlogged ${i}`, ...row });
    const circuit = await db.read(`unlogged ${i}`);
    assertEquals([circuit?.state, circuit?.isUnlogged], [row.state as Circuit["state"], true]);
  }
  await db.insert({ key: "known", ...rows[2], forced_until: NOW + 1 });
  assertEquals((await db.read("known"))?.isUnlogged, undefined);
});

Deno.test("toCircuits returns hostile keys as they are, among others", async () => {
  await using db = await open();
  const keys = [
    "",
    " ",
    '"',
    "\\",
    "\\u0041",
    "'",
    "%s",
    "%",
    ",",
    "]",
    '","',
    '[1,2,"x"]',
    '{"a":1}',
    "null",
    "NULL",
    "{NULL}",
    "{a,b}",
    "read-only",
    "a\nb\r\tc",
    "\x01\x1f\x7f",
    "\u2028\u2029",
    "é\u0301",
    "😀",
    "removed",
    "\uffff",
    "\ufeffbom",
    "$1",
    "--",
    "/*",
    "x".repeat(2000),
  ];
  for (const [i, key] of keys.entries()) await db.insert({ key, failure_count: i });
  const context = contextOf(RULES);
  const { text, encode, decode } = readManyStatement(context);
  const rows = await db.raw.unsafe(text, [`${NOW}`, ...encode(keys) as string[]]);
  const found = new Map(decode(rows, keys).map((each) => [each.key, each.failureCount]));
  assertEquals(found, new Map(keys.map((key, i) => [key, i])));
  for (const key of keys) assertEquals((await db.read(key))?.key, key);
});

Deno.test("toCircuits caps counts beyond 2^53, and rounds other numbers to the nearest", async () => {
  await using db = await open();
  const most = "9223372036854775807";
  for (const count of [`${MAX_COUNT}`, "9007199254740993", most]) {
    await db.insert({ ...ROW, key: count, failure_count: count, success_count: count });
    const circuit = await db.read(count);
    assertEquals([circuit?.failureCount, circuit?.successCount], [MAX_COUNT, MAX_COUNT]);
  }
  await db.insert({
    ...ROW,
    key: "most",
    last_failure_time: most,
    last_state_change: most,
    version: most,
    zeroed_version: most,
    opened_at: most,
    probe_expires_at: most,
  });
  assertEquals(await db.read("most"), {
    ...CIRCUIT,
    key: "most",
    lastFailureTime: 2 ** 63,
    lastStateChange: 2 ** 63,
    version: 2 ** 63,
    zeroedVersion: 2 ** 63,
    openedAt: 2 ** 63,
    probeExpiresAt: 2 ** 63,
  });
});

Deno.test("toCircuits returns a forced state with all of its fields", async () => {
  await using db = await open();
  const reason = '"\\\n%s\u2028😀]}';
  await db.insert({
    ...ROW,
    forced_state: "open",
    logged_state: "open",
    forced_at: 1_700_000_000_004,
    forced_until: NOW + 1,
    forced_reason: reason,
    forced_by: "ann",
  });
  assertEquals(await db.read("api"), {
    ...CIRCUIT,
    forced: { state: "open", at: 1_700_000_000_004, until: NOW + 1, reason, by: "ann" },
  });
});

Deno.test("toCircuits dates a state that was forced by hand from the last change", async () => {
  await using db = await open();
  await db.insert({ ...ROW, forced_state: "closed", logged_state: "closed" });
  const forced = {
    state: "closed",
    at: ROW.last_state_change,
    until: undefined,
    reason: undefined,
    by: undefined,
  } as const;
  assertEquals(await db.read("api"), { ...CIRCUIT, forced });
});

Deno.test("toCircuits ignores a forced state that this release does not know", async () => {
  await using db = await open();
  await db.insert({ ...ROW, forced_state: "half-open" });
  assertEquals(await db.read("api"), CIRCUIT);
});

Deno.test("toCircuits ignores the fields of a force that was released", async () => {
  await using db = await open();
  await db.insert({ ...ROW, forced_at: 1, forced_until: 2, forced_reason: "released" });
  assertEquals(await db.read("api"), CIRCUIT);
});

Deno.test("toCircuits throws on the answer of a read-only session, with or without a row", async () => {
  await using db = await open();
  await db.insert(ROW);
  await using sql = connect(db.url, { connection: { default_transaction_read_only: true } });
  const context = contextOf(RULES);
  const page = { state: undefined, after: undefined, limit: 10 };
  const reads: [text: string, params: (string | null)[]][] = [
    [readOneStatement(context).text, ["api"]],
    [readOneStatement(context).text, ["absent"]],
    [readManyStatement(context).text, readManyStatement(context).encode(["api"])],
    [listStatement(context, false).text, listStatement(context, false).encode(page)],
  ];
  for (const [text, params] of reads) {
    const rows = await sql.unsafe(text, [`${NOW}`, ...params]);
    assertEquals([...rows], [{ circuit: "read-only" }]);
    const error = assertThrows(() => toCircuits(rows, "api"), StoreUnavailableError);
    assertEquals(error.sqlState, "25006");
  }
});

Deno.test("textOf throws a clear error without a text column named circuit", () => {
  for (
    const [value, shown] of [[undefined, "undefined"], [7, "7"], [[1, 2], "an array"]] as const
  ) {
    const error = assertThrows(() => textOf(value), CircuitBreakerStoreError);
    assertEquals(
      error.message,
      `Cannot read circuits: expected rows with a text column "circuit", received ${shown} there: ` +
        `"client" must return rows as objects, with the names and values of their columns`,
    );
  }
  assertEquals(textOf(null), undefined);
});
