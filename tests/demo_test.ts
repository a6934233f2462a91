import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { lines } from "../scripts/demo/lines.ts";
import { connect, createDatabase } from "./support/database.ts";

function demo(args: string[] = [], env: Record<string, string> = {}): Deno.Command {
  const script = fileURLToPath(new URL("../scripts/demo.ts", import.meta.url));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", script, ...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function output(command: Deno.Command) {
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/**
 * Starts the demo and sends it a signal once this number of gateways have begun to serve: the first act
 * has three. Returns its exit code.
 */
async function interrupt(
  command: Deno.Command,
  signal: Deno.Signal,
  gateways: number = 3,
): Promise<number> {
  const child = command.spawn();
  // The gateways share the demo's standard error, so it ends when the last of them has ended.
  const allEnded = child.stderr.pipeTo(new WritableStream());
  let serving = 0;
  for await (const line of lines(child.stdout)) {
    if (/gateway-\d +serves/.test(line) && ++serving === gateways) child.kill(signal);
  }
  await allEnded;
  return (await child.status).code;
}

async function schemasOf(url: string): Promise<string[]> {
  await using sql = connect(url);
  const rows = await sql`select nspname from pg_namespace where nspname like 'circuit_breaker%'`;
  return rows.map(({ nspname }) => nspname);
}

Deno.test("demo shows the shared circuit and leaves nothing in the database", async () => {
  await using database = await createDatabase();
  const { code, stdout, stderr } = await output(demo([], { DATABASE_URL: database.url }));
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /\nShown in .* 19 of 19 claims were true\.\n$/);
  assert(!stdout.includes("FALSE"), stdout);
  // The bad gateway stops all five, and with a quorum itself alone.
  assertMatch(stdout, /true +the 4 others refuse all 40 requests/);
  assertMatch(stdout, /true +the 4 others refuse none of 40 requests/);
  // One of the three sends the probe, which alone closes the circuit.
  const [, prober] = /(gateway-\d) +sends a probe/.exec(stdout) ?? [];
  assertEquals(stdout.match(/gateway-\d +moves the circuit from half-open to closed/g), [
    `${prober}  moves the circuit from half-open to closed`,
  ]);
  assertEquals(stdout.match(/sends a probe/g)?.length, 1);
  assertEquals(await schemasOf(database.url), []);
});

Deno.test("demo fails where gateways share nothing", async () => {
  const { code, stdout, stderr } = await output(demo(["--store=memory"]));
  assertEquals(code, 1, stdout + stderr);
  assertMatch(stdout, /FALSE +every gateway refuses with 503/);
  assertMatch(stdout, /FALSE +the upstream is spared/);
  assertMatch(stdout, /skips this act: it needs a shared database/);
  assertMatch(stdout, /\nNOT shown: [345] of 8 claims were false:\n/);
});

Deno.test("demo fails without a database", async () => {
  // The port was free a moment ago, and no process listens on it.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const { code, stderr } = await output(demo([], { DATABASE_URL: url }));
  assertEquals(code, 1);
  assertMatch(stderr, /NOT shown: .*ECONNREFUSED/);
});

Deno.test("demo refuses arguments it does not know", async () => {
  const { code, stderr } = await output(demo(["--store=redis"]));
  assertEquals(code, 2);
  assertMatch(stderr, /Cannot run the demo: .* received --store=redis/);
});

for (const [act, gateways] of [["first", 3], ["second", 8]] as const) {
  Deno.test(`demo ends its gateways and cleans up when interrupted in the ${act} act`, async () => {
    await using database = await createDatabase();
    const code = await interrupt(demo([], { DATABASE_URL: database.url }), "SIGINT", gateways);
    assertEquals(code, 130);
    assertEquals(await schemasOf(database.url), []);
  });
}

Deno.test("demo leaves no gateway running when killed, and the next demo cleans up", async () => {
  await using database = await createDatabase();
  const env = { DATABASE_URL: database.url };
  assertEquals(await interrupt(demo([], env), "SIGKILL"), 137);
  assertEquals((await schemasOf(database.url)).length, 1);
  assertEquals(await interrupt(demo([], env), "SIGTERM"), 130);
  assertEquals(await schemasOf(database.url), []);
});

Deno.test("demo --stay serves the dashboard, and keys break and heal the upstream", async () => {
  await using database = await createDatabase();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      fileURLToPath(new URL("../scripts/demo.ts", import.meta.url)),
      "--stay",
    ],
    env: { DATABASE_URL: database.url },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const keyboard = child.stdin.getWriter();
  const press = (key: string) => keyboard.write(new TextEncoder().encode(key));
  let base = "";
  let shown: unknown;
  for await (const line of lines(child.stdout)) {
    if (/^.*keys +b breaks/.test(line)) await press("b");
    base ||= /(http:\/\/127\.0\.0\.1:\d+\/)$/.exec(line.includes("dashboard") ? line : "")?.[1] ??
      "";
    if (/gateway-\d +moves the circuit from closed to open/.test(line)) {
      shown = (await (await fetch(`${base}api/circuits`)).json()).counts.open;
      await press("h");
    }
    if (/upstream +works from now on/.test(line)) await press("q");
  }
  const { code } = await child.status;
  await keyboard.close().catch(() => {}); // it has ended already
  assertEquals([code, shown], [0, 1], await errors);
  assertEquals(await schemasOf(database.url), []);
});
