import { assert, assertEquals, assertMatch } from "@std/assert";
import { DENO_DRIVER } from "../../src/cli/connection.ts";
import { readManifest } from "../../scripts/npm/manifest.ts";
import { PROGRAM, runInTerminal, runPiped, terminalTest } from "./program.ts";
import { until } from "../support/until.ts";
import { openStage } from "./stage.ts";

Deno.test("the program prints, and its exit code says how it went", async () => {
  await using stage = await openStage();
  await stage.store.transition("payments", "open");
  const env = { DATABASE_URL: stage.url };
  const listed = await runPiped([...PROGRAM, "list"], env);
  assertEquals([listed.code, listed.err], [0, ""]);
  assertMatch(listed.out, /^STATE +KEY.*\nopen +payments /);
  const wrong = await runPiped([...PROGRAM, "lst"], env);
  assertEquals([wrong.code, wrong.out], [2, ""]);
  assertMatch(wrong.err, /did you mean "list"\?/);
  const away = await runPiped([...PROGRAM, "list", "--url", "postgres://127.0.0.1:1/app"], env);
  assertEquals([away.code, away.out], [3, ""]);
});

Deno.test("the program takes PG variables, and names what is missing", async () => {
  await using stage = await openStage();
  const { hostname, port, username, password, pathname } = new URL(stage.url);
  const variables = {
    DATABASE_URL: "",
    PGHOST: hostname,
    PGPORT: port || "5432",
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
  };
  const { code, err } = await runPiped([...PROGRAM, "list"], variables);
  assertEquals(code, 0, err);
  const none = Object.fromEntries(Object.keys(variables).map((name) => [name, ""]));
  const missing = await runPiped([...PROGRAM, "list"], none);
  assertEquals(missing.code, 2);
  assertMatch(missing.err, /^Cannot connect: no database is named, set DATABASE_URL/);
});

Deno.test("a reader that goes, as head does, is no error", async () => {
  await using stage = await openStage();
  await stage.client.query(
    `insert into stoma_circuit_breakers (key, failure_count)
    select repeat('k', 200) || n, 1 from generate_series(1, 5000) as n`,
  );
  const { code, out, err } = await runPiped(
    ["bash", "-c", '"$@" | head -n 1; echo "${PIPESTATUS[0]}"', "bash", ...PROGRAM, "list"]
      .concat("--limit", "5000"),
    { DATABASE_URL: stage.url },
  );
  assertEquals([code, err], [0, ""]);
  assertMatch(out, /^STATE .*\n0\n$/);
});

/** Runs the program in a shell, with its streams as a line of the shell directs them. */
function runDirected(line: string, args: readonly string[], url: string) {
  return runPiped(["bash", "-c", `"$@" ${line}`, "bash", ...PROGRAM, ...args], {
    DATABASE_URL: url,
  });
}

Deno.test("a device that is full is a problem, and no end of a reader", async () => {
  await using stage = await openStage();
  const { code, err } = await runDirected("> /dev/full", ["list"], stage.url);
  assertEquals(code, 1, err);
  assertMatch(err, /no space left|ENOSPC/i);
});

Deno.test("remarks and messages that cannot be written change no exit code", async () => {
  await using stage = await openStage();
  for (const key of ["a", "b"]) await stage.store.transition(key, "open");
  const cut = await runDirected("2> /dev/full", ["list", "--limit", "1"], stage.url);
  assertEquals(cut.code, 0);
  assertMatch(cut.out, /^STATE .*\nopen +a .*\n$/);
  const wrong = await runDirected("2> /dev/full", ["lst"], stage.url);
  assertEquals([wrong.code, wrong.out], [2, ""]);
});

terminalTest("in a terminal that does not say how wide it is, lines fit 80 columns", async () => {
  await using stage = await openStage();
  await stage.store.transition("/api/" + "x".repeat(100), "open");
  const env = { DATABASE_URL: stage.url, NO_COLOR: "1" };
  const { code, text } = await runInTerminal([...PROGRAM, "list"], { env, columns: 0 });
  assertEquals(code, 0, text);
  const lines = text.trimEnd().split("\n");
  assertEquals(lines.length, 2);
  for (const line of lines) assert(line.length <= 80, line);
});

terminalTest("in a terminal, the program fits its width, has colours, and asks", async () => {
  await using stage = await openStage();
  await stage.store.transition("/api/" + "x".repeat(100), "open");
  const env = { DATABASE_URL: stage.url };
  for (const columns of [60, 100]) {
    const { code, text } = await runInTerminal([...PROGRAM, "list"], { env, columns });
    assertEquals(code, 0, text);
    assert(text.includes("\x1b[31mopen\x1b[0m"), text);
    // deno-lint-ignore no-control-regex
    const lines = text.replaceAll(/\x1b\[\d+m/g, "").trimEnd().split("\n");
    assertEquals(lines.length, 2);
    for (const line of lines) assert(line.length <= columns, line);
  }
  const plain = await runInTerminal([...PROGRAM, "list"], {
    env: { ...env, NO_COLOR: "1" },
    columns: 80,
  });
  assert(!plain.text.includes("\x1b"), plain.text);

  for (const [typed, expected, state] of [["n\n", 4, "closed"], ["y\n", 0, "open"]] as const) {
    const { code, text } = await runInTerminal(
      [...PROGRAM, "open", "payments", "--reason", "INC-1", "--for", "10m"],
      { env, columns: 80, answers: [["[y/N]", typed]] },
    );
    assertEquals(code, expected, text);
    assertMatch(text, /Force payments open: every instance refuses/);
    assertEquals((await stage.store.peek("payments")).state, state);
  }
});

terminalTest("Ctrl-C ends watch with 130, and a question with nothing done", async () => {
  await using stage = await openStage();
  const env = { DATABASE_URL: stage.url };
  const watched = await runInTerminal([...PROGRAM, "watch"], {
    env,
    columns: 80,
    answers: [["Watching", "\x03"]],
  });
  assertEquals(watched.code, 130, watched.text);
  const asked = await runInTerminal([...PROGRAM, "open", "payments", "--reason", "x"], {
    env,
    columns: 80,
    answers: [["[y/N]", "\x03"]],
  });
  assertEquals(asked.code, 130, asked.text);
  assertEquals((await stage.store.peek("payments")).state, "closed");
});

Deno.test("SIGTERM ends watch with 143, and nothing of it stays in the database", async () => {
  await using stage = await openStage();
  const [program, ...args] = [...PROGRAM, "watch"];
  const child = new Deno.Command(program!, {
    args,
    env: { DATABASE_URL: stage.url },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const reader = child.stderr.getReader();
  assertMatch(new TextDecoder().decode((await reader.read()).value), /^Watching/);
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 143);
  await reader.cancel();
  await until(async () => {
    const { rows } = await stage.client.query(
      `select pid from pg_stat_activity
      where datname = current_database() and application_name = 'circuit-breaker cli'`,
    );
    return rows.length === 0;
  });
});

Deno.test("Deno loads the driver that the tests use", async () => {
  assertEquals((await readManifest()).imports.postgres, DENO_DRIVER);
});
