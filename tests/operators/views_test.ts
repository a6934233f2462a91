/** What an operator reads with SQL alone: which circuits, since when, why, who, how many refused, yesterday. */

import { assert, assertEquals } from "@std/assert";
import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
} from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

const TABLE = "stoma_circuit_breakers";

async function open() {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase());
  const { client, raw } = stack.use(await openPostgresJs(database.url));
  await migrate(client);
  return {
    sql: raw,
    client,
    openStore: (options: PostgresCircuitBreakerStoreOptions) =>
      stack.use(new PostgresCircuitBreakerStore(client, options)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("the overview says which circuits are open, since when, why, who, and how many refused", async () => {
  await using db = await open();
  const gateway = db.openStore({ instanceId: "gateway-1", resetTimeoutMs: 60_000 });
  const { lastStateChange } = await gateway.transition("payments", "open");
  for (let i = 0; i < 7; i++) await gateway.getState("payments");
  await gateway.recordFailure("search");
  await gateway.forceOpen("mail", { actor: "ana", reason: "provider moves", forMs: 600_000 });
  await gateway.close();

  const [mail, payments, search, ...others] = await db.sql`
    select key, state, refused_count::int, cause, actor, reason, forced_state, forced_by, forced_reason,
      array_to_string(votes, ',') as votes, since = opened_at as is_first, age between '0 s' and '1 min' as is_young,
      round(extract(epoch from since) * 1000)::text as since_ms,
      round(extract(epoch from forced_until - since))::int as forced_for, retry_at = forced_until as retries,
      role = session_user::text as is_role
    from stoma_circuit_breakers_overview order by key`;
  assertEquals(others, []);
  assertEquals({ ...payments }, {
    key: "payments",
    state: "open",
    refused_count: 7,
    cause: "trip",
    actor: "gateway-1",
    reason: null,
    forced_state: null,
    forced_by: null,
    forced_reason: null,
    votes: "",
    is_first: true,
    is_young: true,
    since_ms: payments!.since_ms,
    forced_for: null,
    retries: null,
    is_role: true,
  });
  // The snapshot is in the caller's clock, which is this machine's as well.
  assert(Math.abs(Number(payments!.since_ms) - lastStateChange) < 1000);
  const { state, actor, reason, forced_state, forced_by, forced_reason, forced_for, retries } =
    mail!;
  assertEquals(
    [state, actor, reason, forced_state, forced_by, forced_reason, forced_for, retries],
    ["open", "ana", "provider moves", "open", "ana", "provider moves", 600, true],
  );
  assertEquals([search!.state, search!.cause], ["closed", null]);
});

Deno.test("the overview shows the next attempt where the row says it, and votes that stand", async () => {
  await using db = await open();
  const options = { resetTimeoutMs: 60_000, probeTimeoutMs: 30_000, resetBackoff: { jitter: 0 } };
  const gateway = db.openStore({ ...options, failureThreshold: 1 });
  await gateway.transition("open", "open");
  await gateway.transition("half-open", "half-open");
  const voter = db.openStore({ ...options, instanceId: "voter", failureThreshold: 1, quorum: 2 });
  await voter.recordFailure("voted");
  const rows = await db.sql`
    select key, round(extract(epoch from retry_at - since))::int as waits,
      array_to_string(votes, ',') as votes
    from stoma_circuit_breakers_overview order by key`;
  assertEquals(rows.map(({ key, waits, votes }) => [key, waits, votes]), [
    ["half-open", 30, ""],
    ["open", 60, ""],
    ["voted", null, "voter"],
  ]);
});

Deno.test("the timeline says what happened yesterday", async () => {
  await using db = await open();
  const gateway = db.openStore({ instanceId: "gateway-1" });
  await gateway.transition("payments", "open");
  await gateway.reset("payments", { actor: "ana", reason: "healed" });
  await db.sql`update stoma_circuit_breakers_changes set at = at - 86400000`;
  const rows = await db.sql`
    select key, from_state, to_state, cause, actor, reason from stoma_circuit_breakers_timeline
    where at between now() - interval '25 h' and now() - interval '23 h' order by version`;
  assertEquals(rows.map((row) => Object.values(row)), [
    ["payments", "closed", "open", "trip", "gateway-1", null],
    ["payments", "open", "closed", "reset", "ana", "healed"],
  ]);
});

Deno.test("one update forces by plain SQL, another releases, and the log shows both as external", async () => {
  await using db = await open();
  const gateway = db.openStore({});
  await gateway.recordSuccess("payments");
  const force =
    `update ${TABLE} set forced_state = 'open', forced_by = 'ana', forced_reason = 'moves',
    forced_at = extract(epoch from now()) * 1000, forced_until = null where key = 'payments'`;
  const release = `update ${TABLE} set forced_state = null where key = 'payments'`;
  const states = [];
  for (const statement of [force, release]) {
    await db.sql.unsafe(statement);
    const { state } = await gateway.getState("payments");
    const [listed] = await gateway.list();
    states.push([state, listed!.cause, listed!.forced?.by, listed!.forced?.reason]);
  }
  assertEquals(states, [
    ["open", "external", "ana", "moves"],
    ["closed", "external", undefined, undefined],
  ]);
  assertEquals(
    (await gateway.history()).map(({ from, to, cause, actor }) => [from, to, cause, actor]),
    [["closed", "open", "external", ""], ["open", "closed", "external", ""]],
  );
});

Deno.test("migrate repairs comments on the views' columns", async () => {
  await using db = await open();
  const count = async () =>
    (await db.sql.unsafe(`select count(col_description(attrelid, attnum))::int as count
      from pg_attribute where attrelid = '${TABLE}_overview'::regclass and attnum > 0`))[0]!.count;
  const all = await count();
  await db.sql.unsafe(`comment on column ${TABLE}_overview.key is null;
    comment on column ${TABLE}_overview.votes is 'mine'`);
  assertEquals(await count(), all - 1);
  await migrate(db.client);
  assertEquals(await count(), all);
});
