/** What probing costs a database, and what happens between two of its statements. */

import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, type PostgresClient } from "../../../mod.ts";
import { oneTo } from "../../conformance/session.ts";
import { openPostgresJs } from "../../support/clients.ts";
import { createDatabase } from "../../support/database.ts";
import { createRole } from "../../support/role.ts";
import { verdictOf } from "../../support/policy.ts";

const RESET = 30_000;
const LEASE = 12_000;
const TABLE = "stoma_circuit_breakers";

async function openStage() {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const { client } = cleanup.use(await openPostgresJs(database.url, { max: 8 }));
  await migrate(client);
  const holder = cleanup.use(await openPostgresJs(database.url, { max: 1 }));
  const role = cleanup.use(await createRole(database, (sql) => client.query(sql)));
  const denied = cleanup.use(await openPostgresJs(role.url, { max: 1 }));
  const clock = { at: 1000 };
  const kept = cleanup.move();
  return {
    clock,
    /** A connection on which a write, and a lock of a row, is an error. */
    async readOnly(): Promise<PostgresClient> {
      await client.query(`grant select on ${TABLE}, ${TABLE}_changes to ${role.quoted}`);
      return denied.client;
    },
    client,
    open: (on: PostgresClient = client) =>
      new PostgresCircuitBreakerStore(on, TABLE, {
        failureThreshold: 3,
        resetTimeoutMs: RESET,
        probeTimeoutMs: LEASE,
        now: () => clock.at,
      }),
    /** All fields of a row, and the transaction that locked it last. */
    async row(): Promise<unknown> {
      return (await client.query(`select *, xmin, xmax, ctid from ${TABLE}`)).rows[0];
    },
    /** Does something while another transaction holds the row. */
    async holding(body: (query: (text: string) => Promise<unknown>) => Promise<void>) {
      await holder.raw.begin(async (sql) => {
        await sql.unsafe(`select from ${TABLE} for update`);
        await body((text) => sql.unsafe(text));
      });
    },
    /** How many statements wait for a row. */
    async waiting(): Promise<number> {
      const { rows } = await client.query(`select count(*)::int as n from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`);
      return rows[0]!.n as number;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A client that counts statements, and calls back before each. */
function watched(
  client: PostgresClient,
  before: (count: number) => Promise<void> | void = () => {},
) {
  const counter = {
    statements: 0,
    async query(text: string, params?: unknown[]) {
      // What announces a change comes after it, and no call waits for it.
      if (!text.includes("pg_notify")) await before(++counter.statements);
      return await client.query(text, params);
    },
  };
  return counter;
}

async function kindsOf(store: PostgresCircuitBreakerStore, requests: number, now: number) {
  const snapshots = await Promise.all(oneTo(requests).map(() => store.getState("api")));
  return Map.groupBy(snapshots.map((each) => verdictOf(each, now, RESET)), (each) => each.kind);
}

for (const denied of ["open", "half-open", "forced open"] as const) {
  Deno.test(`100 denied requests of a circuit ${denied} cost one read, and no write`, async () => {
    await using stage = await openStage();
    const store = stage.open();
    await store.transition("api", "open");
    if (denied === "half-open") await store.transition("api", "half-open");
    if (denied === "forced open") await store.forceOpen("api");
    const before = await stage.row();
    const client = watched(await stage.readOnly());
    for (const round of oneTo(3)) {
      const kinds = await kindsOf(stage.open(client), 100, stage.clock.at);
      assertEquals([...kinds.keys()], ["refuse"]);
      assertEquals(client.statements, round);
      stage.clock.at += 1000;
    }
    assertEquals(await stage.row(), before);
  });
}

Deno.test("denied requests that keep coming share reads", async () => {
  await using stage = await openStage();
  await stage.open().transition("api", "open");
  const client = watched(await stage.readOnly());
  const store = stage.open(client);
  const requests: Promise<unknown>[] = [];
  // More requests come in each run of the event loop, while earlier statements are in flight.
  for (const _ of oneTo(10)) {
    requests.push(...oneTo(10).map(() => store.getState("api")));
    await Promise.resolve();
  }
  await Promise.all(requests);
  assert(client.statements <= 2, `${client.statements} statements`);
});

Deno.test("100 requests of a due circuit cost one read and one claim", async () => {
  await using stage = await openStage();
  await stage.open().transition("api", "open");
  stage.clock.at += RESET;
  const client = watched(stage.client);
  const kinds = await kindsOf(stage.open(client), 100, stage.clock.at);
  assertEquals([kinds.get("probe")?.length, kinds.get("refuse")?.length], [1, 99]);
  assertEquals(client.statements, 2);
});

Deno.test("requests of a closed circuit cost one read, due or not", async () => {
  await using stage = await openStage();
  const client = watched(stage.client);
  const store = stage.open(client);
  assertEquals([...(await kindsOf(store, 100, stage.clock.at)).keys()], ["pass"]);
  await stage.open().recordFailure("api");
  stage.clock.at += RESET;
  assertEquals([...(await kindsOf(store, 100, stage.clock.at)).keys()], ["pass"]);
  assertEquals(client.statements, 2);
});

type Store = PostgresCircuitBreakerStore;
/** What another instance may do after a due circuit was read and before a probe is claimed. */
const BETWEEN: Record<string, [happens: (other: Store) => Promise<unknown>, kind: string]> = {
  "another claimed the probe": [(other) => other.getState("api"), "refuse"],
  "another's probe failed": [async (other) => {
    await other.getState("api");
    await other.transition("api", "open");
  }, "refuse"],
  "another's probe succeeded": [async (other) => {
    await other.getState("api");
    await other.transition("api", "closed");
  }, "pass"],
  "it was forced open": [(other) => other.forceOpen("api"), "refuse"],
  "it was forced closed": [(other) => other.forceClosed("api"), "pass"],
  "it was reset": [(other) => other.reset("api"), "pass"],
};

for (const [name, [happens, kind]] of Object.entries(BETWEEN)) {
  Deno.test(`a claim is judged as the circuit is then: ${name}`, async () => {
    await using stage = await openStage();
    await stage.open().transition("api", "open");
    stage.clock.at += RESET;
    let after: unknown;
    const client = watched(stage.client, async (statement) => {
      if (statement !== 2) return;
      await happens(stage.open());
      after = await stage.row();
    });
    const kinds = await kindsOf(stage.open(client), 5, stage.clock.at);
    assertEquals([...kinds.keys()], [kind]);
    assertEquals(client.statements, 2);
    const { xmax: _, ...row } = { ...await stage.row() as Record<string, unknown> };
    const { xmax: __, ...expected } = { ...after as Record<string, unknown> };
    assertEquals(row, expected, "a claim that was denied wrote");
  });
}

Deno.test("claims that wait for each other's row admit one probe", async () => {
  await using stage = await openStage();
  await stage.open().transition("api", "open");
  stage.clock.at += RESET;
  let asked: Promise<string[]>[] = [];
  await stage.holding(async () => {
    asked = oneTo(3).map(async () =>
      [
        ...(await kindsOf(stage.open(), 2, stage.clock.at)).entries(),
      ].flatMap(([kind, verdicts]) => verdicts.map(() => kind))
    );
    // The database itself says when all three wait: each has read the circuit as due.
    while (await stage.waiting() < 3);
  });
  const kinds = (await Promise.all(asked)).flat().toSorted();
  assertEquals(kinds, ["probe", ...Array(5).fill("refuse")]);
});

Deno.test("a result that waits for its row is judged as the circuit is then", async () => {
  await using stage = await openStage();
  await stage.open().transition("api", "open");
  stage.clock.at += RESET;
  const store = stage.open();
  await store.getState("api");
  let reported: Promise<unknown> = Promise.resolve();
  await stage.holding(async (query) => {
    reported = store.transition("api", "closed");
    while (await stage.waiting() < 1);
    await query(`update ${TABLE} set version = version + 1`);
  });
  await reported;
  assertEquals((await store.peek("api")).state, "half-open");
});
