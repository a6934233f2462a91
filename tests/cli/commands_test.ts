import { assert, assertEquals, assertMatch } from "@std/assert";
import type { CircuitChange, CircuitInstance, CircuitListing } from "../../mod.ts";
import { fittedKey, shellQuoted } from "../../src/cli/text.ts";
import { VERSION } from "../../src/version.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { until } from "../support/until.ts";
import { HOSTILE_KEYS } from "./hostile_keys.ts";
import { wordsOf } from "./shell.ts";
import { openStage, runCommand, type Stage } from "./stage.ts";

async function json<Value>(stage: Stage, ...args: string[]): Promise<Value> {
  const { code, out, err } = await stage.cli([...args, "--json"]);
  assert(code === 0 || code === 5, err);
  assertEquals(out.split("\n").length, 2, "one line");
  return JSON.parse(out);
}

Deno.test("list --json is what store.list() returns, the open ones first", async () => {
  await using stage = await openStage();
  await stage.store.recordFailure("a");
  await stage.store.transition("b", "open");
  const listed = await stage.store.list();
  const shown = await json<CircuitListing[]>(stage, "list");
  assertEquals(shown.map(({ key }) => key), ["b", "a"]);
  for (const circuit of shown) {
    const { key, state, version, cause, actor, failureCount } = circuit;
    const { [key]: same } = Object.fromEntries(listed.map((each) => [each.key, each]));
    assertEquals([state, version, cause, actor, failureCount], [
      same!.state,
      same!.version,
      same!.cause,
      same!.actor,
      same!.failureCount,
    ]);
  }
});

Deno.test("list takes a state, a prefix and a limit, and never hides an open circuit", async () => {
  await using stage = await openStage();
  await stage.client.query(
    "insert into stoma_circuit_breakers (key, failure_count) select 'k' || n, 1 from generate_series(100, 400) as n",
  );
  await stage.store.transition("zz", "open");
  const { out, err } = await stage.cli(["list"]);
  assertMatch(out, /^STATE.*\nopen +zz /);
  assertEquals(out.split("\n").length, 102);
  assertEquals(err, "These are the first 100: --limit shows more.\n");
  assertEquals((await json<object[]>(stage, "list", "--limit", "1000")).length, 302);
  assertEquals((await json<object[]>(stage, "list", "--prefix", "k10")).length, 10);
  assertEquals((await json<object[]>(stage, "list", "--state", "open")).length, 1);
  assertEquals(await json<object[]>(stage, "list", "--prefix", "nothing"), []);
});

Deno.test("every hostile key is listed safely, and what is printed of it acts on its circuit", async () => {
  await using stage = await openStage();
  for (const key of HOSTILE_KEYS) await stage.store.recordFailure(key);
  const wide = await stage.cli(["list", "--limit", "1000"]);
  const narrow = await stage.cli(["list", "--limit", "1000"], { columns: 80 });
  const listed = await stage.store.list({ limit: 1000 });
  assertEquals(listed.length, HOSTILE_KEYS.length);
  for (const { out } of [wide, narrow]) {
    assertEquals(out.split("\n").length, listed.length + 2);
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/.test(out));
  }
  for (const { storedKey } of listed) assert(wide.out.includes(shellQuoted(storedKey)));
  const pasted = await wordsOf(listed.map(({ storedKey }) => fittedKey(storedKey, 30)).join(" "));
  for (const [i, { storedKey }] of listed.entries()) {
    const { code, out } = await stage.cli(
      ["open", "--reason", "test", "--yes", "--", pasted[i]!],
    );
    assertEquals(code, 0);
    assert(out.startsWith(`${shellQuoted(storedKey)}: open, forced`), out);
  }
  assertEquals((await stage.store.list({ state: "open", limit: 1000 })).length, listed.length);
});

Deno.test("show takes a key of the gateway that only a digest can stand for", async () => {
  await using stage = await openStage();
  const key = "/api/" + "x".repeat(1000);
  await stage.store.transition(key, "open");
  const [listing] = await stage.store.list();
  for (const typed of [key, listing!.storedKey]) {
    const { circuit, history } = await json<{ circuit: CircuitListing; history: CircuitChange[] }>(
      stage,
      "show",
      typed,
    );
    assertEquals([circuit.storedKey, history.length], [listing!.storedKey, 1]);
  }
  assertEquals((await stage.cli(["show", "nothing"])).code, 5);
  assertEquals(await json(stage, "show", "nothing"), { circuit: null, history: [] });
});

Deno.test("history has the last changes of a time, and says when it leaves some out", async () => {
  await using stage = await openStage();
  for (let i = 0; i < 6; i++) {
    await stage.store.transition("payments", i % 2 === 0 ? "open" : "closed");
  }
  await stage.store.transition("orders", "open");
  const all = await json<CircuitChange[]>(stage, "history");
  assertEquals(all.length, 7);
  const last = await json<CircuitChange[]>(stage, "history", "--limit", "2");
  assertEquals(last.map(({ version }) => version), all.slice(-2).map(({ version }) => version));
  const { err } = await stage.cli(["history", "--limit", "2"]);
  assertEquals(err, "These are the last 2: --limit shows more.\n");
  assertEquals((await json<object[]>(stage, "history", "--key", "orders")).length, 1);
  assertEquals(await json(stage, "history", "--until", "2020-01-01"), []);
  await stage.client.query(
    "update stoma_circuit_breakers_changes set at = at - 86400000 where key = 'orders'",
  );
  const yesterday = await json<CircuitChange[]>(
    ...[stage, "history", "--since", "25h", "--until", "23h"] as [Stage, ...string[]],
  );
  assertEquals(yesterday.map(({ key }) => key), ["orders"]);
});

Deno.test("prune removes what is idle, in as many statements as it takes", async () => {
  await using stage = await openStage();
  await stage.client.query(
    `insert into stoma_circuit_breakers (key, updated_at)
    select 'k' || n, ${Date.now() - 2 * 86_400_000} from generate_series(1, 2500) as n`,
  );
  await stage.store.transition("payments", "open");
  assertEquals(await json(stage, "prune"), { removed: 2500 });
  assertEquals(await json(stage, "prune", "--idle", "1s"), { removed: 0 });
});

Deno.test("migrate makes, upgrades, prints and takes away", async () => {
  await using stage = await openStage();
  const table = ["--table", "ops_circuits"];
  const review = await stage.cli(["migrate", "--dry-run", ...table]);
  assertMatch(review.out, /^-- What would be done first in this database:\n-- create table /);
  assertEquals((await stage.cli(["list", ...table])).code, 1);
  await stage.client.query(review.out);
  assertEquals(await json(stage, "migrate", ...table), { table: "ops_circuits", done: "nothing" });
  const again = await stage.cli(["migrate", "--dry-run", ...table]);
  assertMatch(again.out, /^-- Nothing is to be done in this database\.\ndo /);
  const alone = await runCommand(["migrate", "--dry-run", "--grant-to", "gateway"]);
  assertMatch(alone.out, /^do [^]*gateway/);
  assertEquals(await json(stage, "migrate", "--down", "--yes", ...table), {
    table: "ops_circuits",
    done: "down",
  });
  assertEquals(await json(stage, "migrate", ...table), { table: "ops_circuits", done: "migrated" });
  const { sql } = await json<{ sql: string }>(stage, "migrate", "--down", "--dry-run", ...table);
  assertMatch(sql, /drop table/);
  const { code, err } = await stage.cli(["migrate", "--grant-to", "no such role"]);
  assertEquals(code, 1, err);
});

Deno.test("watch prints a line for each change, and ends with Ctrl-C", async () => {
  await using stage = await openStage();
  for (const isJson of [false, true]) {
    const lines: string[] = [];
    const { promise: changed, resolve: change } = Promise.withResolvers<void>();
    let interrupt: (code: 130) => void = () => {};
    const watching = stage.cli(["watch", ...isJson ? ["--json"] : []], {
      onInterruptible: (stop) => interrupt = stop,
      onOut(text) {
        lines.push(text);
        if (lines.length === 2) change();
      },
    });
    // Without a cursor, a change before the first look may be missed.
    let isOver = false;
    const changing = (async () => {
      while (!isOver) {
        await stage.store.transition("payments", "open");
        await stage.store.transition("payments", "closed");
      }
    })();
    await changed;
    isOver = true;
    await changing;
    interrupt(130);
    const { code } = await watching;
    assertEquals(code, 130);
    for (const line of lines) {
      if (isJson) assertEquals((JSON.parse(line) as CircuitChange).key, "payments");
      else {assertMatch(
          line,
          /^\d{4}-\d\d-\d\d [\d:]{8} {2}payments {2}\S+ -> \S+ {2}\w+ {2}by gateway-1/,
        );}
    }
  }
});

Deno.test("watch goes on behind a cursor", async () => {
  await using stage = await openStage();
  await stage.store.transition("payments", "open");
  const [opened] = await stage.store.history();
  await stage.store.transition("payments", "half-open");
  await stage.store.transition("payments", "closed");
  const seen: string[] = [];
  let interrupt: (code: 143) => void = () => {};
  const { code } = await stage.cli(["watch", "--json", "--after", opened!.cursor], {
    onInterruptible: (stop) => interrupt = stop,
    onOut(text) {
      seen.push((JSON.parse(text) as CircuitChange).to);
      if (seen.length === 2) interrupt(143);
    },
  });
  assertEquals([code, seen], [143, ["half-open", "closed"]]);
  const { code: wrong, err } = await stage.cli(["watch", "--after", "nonsense"]);
  assertEquals(wrong, 2, err);
});

Deno.test("a database that does not answer ends every command within the deadline, with 3", async () => {
  await using stage = await openStage();
  await using proxy = TcpProxy.start(stage.url);
  const url = new URL(stage.url);
  url.port = String(proxy.port);
  proxy.hang();
  for (
    const args of [
      ["list"],
      ["show", "x"],
      ["history"],
      ["watch"],
      ["doctor"],
      ["prune"],
      ["migrate"],
      ["open", "x", "--reason", "y", "--yes"],
    ]
  ) {
    const start = performance.now();
    const { code, out, err } = await runCommand([...args, "--timeout", "300ms"], {
      env: { DATABASE_URL: url.href },
    });
    assertEquals([code, out], [3, ""], err);
    assertMatch(err, /^Cannot [a-z ]+: .+\n$/);
    // The deadline, the ends of store and connection, and a busy machine.
    assert(performance.now() - start < 8000, args[0]);
  }
});

Deno.test("no command shows a password, wherever it stands", async () => {
  const secret = "hunter2hunter2";
  const urls = [
    `postgres://user:${secret}@127.0.0.1:1/app`,
    `postgres://user:${secret}@[::1/app`,
    `postgres://user:${secret}@127.0.0.1:99999/app`,
    `mysql://user:${secret}@127.0.0.1/app`,
    `postgres://user:${secret}@127.0.0.1:1,127.0.0.1:2/app`,
    `host=127.0.0.1 password=${secret}`,
    secret,
  ];
  for (const url of urls) {
    for (const args of [["list", "--url", url], ["list", url], [url], ["list", "--table", url]]) {
      const { code, out, err } = await runCommand(args, {
        env: { DATABASE_URL: "postgres://127.0.0.1:1/app" },
      });
      assert(code === 2 || code === 3, err);
      assert(!(out + err).includes(secret), err);
    }
    const { err } = await runCommand(["list"], { env: { DATABASE_URL: url } });
    assert(!err.includes(secret), err);
  }
});

Deno.test("instances lists what uses the table, with labels that harm no terminal", async () => {
  await using stage = await openStage();
  assertEquals(
    (await stage.cli(["instances"])).out,
    "No instance was seen in the last 15 minutes.\n",
  );
  const label = "gateway\x1b[31m\n2";
  const store = stage.open({ instanceId: label, maxStalenessMs: 1500 });
  await store.getState("payments");
  await until(async () => (await store.instances()).length === 1);
  const [instance] = await json<CircuitInstance[]>(stage, "instances");
  assertEquals([instance!.label, instance!.libraryVersion, instance!.maxStalenessMs], [
    label,
    VERSION,
    1500,
  ]);
  const { out } = await stage.cli(["instances"]);
  assertMatch(
    out,
    /^INSTANCE.*\ngateway\\x1b\[31m\\n2 +\d+\.\d+\.\d+ +[-\d]+ [:\d]+ \(\d+m?s\) +1500ms /,
  );
});
