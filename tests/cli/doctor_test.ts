import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { VERSION } from "../../src/version.ts";
import { connect } from "../support/database.ts";
import { pooledTest, startPgBouncer } from "../support/pgbouncer.ts";
import { createRole } from "../support/role.ts";
import { type Ended, openStage, runCommand, type Setting, type Stage } from "./stage.ts";

const TABLE = "stoma_circuit_breakers";

/** What the throw-away servers of the tests are like on purpose. */
const KNOWN = /^(fsync|full_page_writes) is off/;

async function findings(ended: Promise<Ended>): Promise<Finding[]> {
  const { out, err } = await ended;
  assert(out.startsWith("{"), err);
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  return findings.filter(({ message }) => !KNOWN.test(message));
}

function doctor(stage: Stage, setting: Setting = {}, args: string[] = []): Promise<Finding[]> {
  return findings(stage.cli(["doctor", "--json", ...args], setting));
}

/** The one finding of a check, which says what to do. */
async function finding(stage: Stage, check: string, setting: Setting = {}): Promise<Finding> {
  const found = (await doctor(stage, setting)).filter((each) => each.check === check);
  assertEquals(found.length, 1, JSON.stringify(found));
  return found[0]!;
}

Deno.test("doctor finds nothing in a healthy database, and ends with 0", async () => {
  await using stage = await openStage();
  await stage.store.transition("payments", "open");
  assertEquals(await doctor(stage), []);
  const { code, out } = await stage.cli(["doctor"]);
  assertEquals(code, 0, out);
  assertMatch(out, /^ok +connection +PostgreSQL \d+\.\d+, role \w+/);
  assertMatch(out, /0 problems, \d warnings\n$/);
  assertEquals(out.match(/^ok /gm)?.length, 11, out);
});

Deno.test("doctor finds a missing table, and skips what cannot be looked at", async () => {
  await using stage = await openStage();
  const { code, out } = await stage.cli(["doctor", "--table", "nowhere"]);
  assertEquals(code, 1);
  assertMatch(out, /^problem +schema +the table "nowhere" does not exist, run migrate/m);
  for (const check of ["privileges", "row security", "bloat", "forces"]) {
    assertMatch(out, new RegExp(`^skipped +${check}`, "m"));
  }
});

Deno.test("doctor finds drift that does not stop the store: a dropped index, another setting", async () => {
  await using stage = await openStage();
  await stage.client.query(`alter table ${TABLE} reset (fillfactor)`);
  const setting = await finding(stage, "schema");
  assertEquals(setting.level, "problem");
  assertMatch(setting.message, /run migrate; it would run: .*fillfactor/);
  await stage.cli(["migrate"]);
  await stage.client.query(`alter table ${TABLE} alter column failure_count drop default`);
  assertMatch((await finding(stage, "schema")).message, /would run: .*failure_count/);
  await stage.cli(["migrate"]);
  await stage.client.query(`alter table ${TABLE} drop column opened_at cascade`);
  const found = await doctor(stage);
  assert(found.some(({ message }) => /is outdated \(it lacks opened_at/.test(message)));
  await stage.cli(["migrate"]);
  assertEquals(await doctor(stage), []);
});

Deno.test("doctor finds a sequence that is behind", async () => {
  await using stage = await openStage();
  await stage.store.transition("payments", "open");
  await stage.client.query(`alter sequence ${TABLE}_versions restart with 1`);
  const found = await doctor(stage);
  assert(
    found.some(({ check, level, message }) =>
      check === "schema" && level === "problem" && /sequence of versions is behind/.test(message)
    ),
    JSON.stringify(found),
  );
});

Deno.test("doctor finds missing privileges and row level security, each with its remedy", async () => {
  await using stage = await openStage();
  await using role = await createRole(stage, (sql) => stage.client.query(sql));
  const env = { env: { DATABASE_URL: role.url } };
  await stage.client.query(`grant select on ${TABLE} to ${role.quoted}`);
  const { level, message } = await finding(stage, "privileges", env);
  assertEquals(level, "problem");
  assertMatch(message, /run: grant insert, update, delete on .*; grant select, insert/);
  assertEquals((await stage.cli(["doctor"], env)).code, 1);

  await stage.cli(["migrate", "--grant-to", role.name]);
  assertEquals((await stage.cli(["doctor"], env)).code, 0);
  await stage.client.query(`alter table ${TABLE} enable row level security`);
  const hidden = await finding(stage, "row security", env);
  assertEquals(hidden.level, "problem");
  assertMatch(hidden.message, /hide circuits from .* reads as closed, run create policy/);
  await stage.client.query(
    `create policy circuit_breaker on ${TABLE} to ${role.quoted} using (true) with check (true)`,
  );
  assertEquals((await stage.cli(["doctor"], env)).code, 0);
});

Deno.test("doctor finds triggers, rules and policies of others", async () => {
  await using stage = await openStage();
  const run = (sql: string) => stage.client.query(sql);
  await run("create function audit() returns trigger language plpgsql as 'begin return null; end'");
  await run(
    `create trigger audit_changes after insert on ${TABLE}_changes execute function audit()`,
  );
  await run(`create policy mine on ${TABLE} using (state = 'closed')`);
  await run(`create rule spy as on insert to ${TABLE}_instances do also select 1`);
  const found = (await doctor(stage)).filter(({ check }) => check === "foreign code");
  assertEquals(found.map(({ message }) => /^the (\w+ "\w+" on "\w+"\."\w+")/.exec(message)?.[1]), [
    `policy "mine" on "public"."${TABLE}"`,
    `trigger "audit_changes" on "public"."${TABLE}_changes"`,
    `rule "spy" on "public"."${TABLE}_instances"`,
  ]);
  // A rule changes statements for certain.
  const { out } = await stage.cli(["doctor"]);
  assertMatch(out, /^problem +schema +the rule "spy" can change what the store does/m);
});

Deno.test("doctor finds a clock that differs, in both directions", async () => {
  await using stage = await openStage();
  for (const [shift, words] of [[-60_000, "ahead of"], [60_000, "behind"]] as const) {
    const { level, message } = await finding(stage, "clock", { now: () => Date.now() + shift });
    assertEquals(level, "warning");
    assertMatch(message, new RegExp(`clock is (1m|59s|1m 1s) ${words} this machine's`));
  }
});

Deno.test("doctor finds settings that hurt, and ends with 1 if it is strict", async () => {
  await using stage = await openStage();
  const settings: Record<string, string> = {
    default_transaction_isolation: "serializable",
    statement_timeout: "99",
    plan_cache_mode: "force_custom_plan",
    synchronous_commit: "off",
  };
  for (const [name, value] of Object.entries(settings)) {
    await stage.client.query(`alter database ${stage.name} set ${name} = '${value}'`);
    const { message, level } = await finding(stage, "settings");
    assertEquals([message.startsWith(`${name} is`), level], [true, "warning"], message);
    await stage.client.query(`alter database ${stage.name} reset ${name}`);
  }
  assertEquals((await stage.cli(["doctor", "--strict"])).code, 1);
});

Deno.test("doctor finds a database that takes no writes", async () => {
  await using stage = await openStage();
  await stage.client.query(`alter database ${stage.name} set default_transaction_read_only = on`);
  const { level, message } = await finding(stage, "server");
  assertEquals(level, "problem");
  assertMatch(
    message,
    /takes no writes, because default_transaction_read_only is on for the database/,
  );
});

Deno.test("doctor finds an old prepared transaction and an old open one, where it may see them", async () => {
  const { judgeSettings } = await import("../../src/cli/doctor/judge.ts");
  const facts = {
    now: 0,
    role: "app",
    isSuperuser: false,
    connections: 95,
    oldestTransactionMs: 3_600_000,
    oldestPreparedMs: 86_400_000,
    settings: {
      default_transaction_isolation: "read committed",
      max_connections: "100",
      autovacuum: "off",
      track_counts: "off",
    },
  };
  assertEquals(judgeSettings(facts).map(({ message }) => message.split(":")[0]), [
    "autovacuum is off",
    "track_counts is off",
    "95 of 100 connections are in use",
    "a transaction has been open for 1h",
    "a prepared transaction is 1d old",
  ]);
});

Deno.test("doctor finds an encoding that holds few keys, and a server that is too old", async () => {
  const { judgeServer } = await import("../../src/cli/doctor/judge.ts");
  const settings = { server_version_num: "130012", server_encoding: "LATIN1" };
  assertEquals(
    judgeServer({ settings } as never).map(({ level, message }) => [level, message.slice(0, 30)]),
    [
      ["problem", "the server is older than Postg"],
      ["warning", "the database's encoding is LAT"],
    ],
  );
});

Deno.test("doctor finds a table that is much larger than its rows", async () => {
  await using stage = await openStage();
  await stage.client.query(
    `insert into ${TABLE} (key) select 'k' || n from generate_series(1, 100000) as n`,
  );
  await stage.client.query(`delete from ${TABLE}`);
  const { level, message } = await finding(stage, "bloat");
  assertEquals(level, "warning");
  assertMatch(message, /"stoma_circuit_breakers" takes \d+ MB for 0 rows, .* vacuum full/);
});

Deno.test("doctor finds circuits that are forced for ever, and names them", async () => {
  await using stage = await openStage();
  await stage.store.forceOpen("for ever\n", { reason: "INC-1" });
  await stage.store.forceOpen("for a while", { forMs: 60_000 });
  await stage.store.forceClosed("also");
  await stage.store.release("also");
  const { level, message } = await finding(stage, "forces");
  assertEquals(level, "warning");
  assertMatch(message, /forced without an end: \$'for ever\\n' \(open for \d+m?s\)\. /);
  for (let i = 0; i < 7; i++) await stage.store.forceOpen(`key ${i}`);
  assertMatch((await finding(stage, "forces")).message, /, 3 more\. No probe/);
});

Deno.test("doctor finds instances that have gone, and those of other versions", async () => {
  await using stage = await openStage();
  const insert = (id: string, library: string, agoMs: number) =>
    stage.client.query(
      `insert into ${TABLE}_instances (id, label, library, bound_ms, seen_at) values ($1, $1, $2, 1000,
      extract(epoch from now())::bigint * 1000 - ${agoMs})`,
      [id, library],
    );
  await insert("same", VERSION, 0);
  assertEquals(await doctor(stage), []);
  await insert("old\n", "0.0.9", 1000);
  const other = await finding(stage, "instances");
  assertEquals(other.level, "warning");
  assertMatch(other.message, /^1 of 2 instances use another version .*: 0\.0\.9 \(\$'old\\n'\)/);
  for (let i = 0; i < 9; i++) await insert(`old${i}`, "0.0.8", 1000);
  assertMatch(
    (await finding(stage, "instances")).message,
    /^10 of 11 instances use another version .*: 0\.0\.8, 0\.0\.9 \(.*, \d more\), finish the rollout$/,
  );
  await stage.client.query(`delete from ${TABLE}_instances where label like 'old%'`);
  await insert("gone", VERSION, 3 * 3_600_000);
  assertMatch(
    (await finding(stage, "instances")).message,
    /^1 of 2 instances have not been seen for 3h( \ds)? or more \(gone\)/,
  );
});

Deno.test("doctor says where the database cannot be reached, with an exit code of its own", async () => {
  const url = "postgres://user:hunter2@127.0.0.1:1/app";
  const { code, out, err } = await runCommand(["doctor", "--json"], { env: { DATABASE_URL: url } });
  assertEquals([code, out], [3, ""]);
  assertMatch(err, /^Cannot examine: .*ECONNREFUSED/);
});

Deno.test("doctor leaves the database as it was", async () => {
  await using stage = await openStage();
  await using sql = connect(stage.url);
  const content = () =>
    sql`select (select array_agg(c) from stoma_circuit_breakers as c) as circuits,
      (select array_agg(i) from stoma_circuit_breakers_instances as i) as instances,
      (select count(*) from stoma_circuit_breakers_changes) as changes`;
  const before = await content();
  await stage.cli(["doctor"]);
  assertEquals(JSON.stringify(await content()), JSON.stringify(before));
});

pooledTest("doctor finds a pooler that passes no notifications on", async (_t, pgBouncer) => {
  await using stage = await openStage();
  await using pooler = await startPgBouncer(pgBouncer, 3);
  const found = await findings(
    runCommand(["doctor", "--json"], { env: { DATABASE_URL: pooler.urlOf(stage.name) } }),
  );
  assertEquals(found.map(({ level, check }) => [level, check]), [["warning", "notifications"]]);
  assertMatch(found[0]!.message, /Connect to the server itself, or to a pooler in session mode$/);
});
