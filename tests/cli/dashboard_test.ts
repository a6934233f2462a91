import { assert, assertEquals, assertMatch } from "@std/assert";
import { ownHostOnly } from "../../src/cli/commands/dashboard.ts";
import { serveHttp } from "../../src/cli/serve_http.ts";
import { lines } from "../../scripts/demo/lines.ts";
import { EXIT_CODES } from "../../src/cli/exit_codes.ts";
import { failureOf } from "../conformance/session.ts";
import { PROGRAM, runPiped } from "./program.ts";
import { openStage } from "./stage.ts";

/** Runs `dashboard` until `use` has ended, and returns its exit code. */
async function whileServing(
  url: string,
  args: readonly string[],
  use: (base: string) => Promise<void>,
): Promise<number> {
  const [program, ...before] = [...PROGRAM, "dashboard", "--port", "0", "--json", ...args];
  const child = new Deno.Command(program!, {
    args: before,
    env: { DATABASE_URL: url },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  for await (const line of lines(child.stdout)) {
    await use(JSON.parse(line).url);
    child.kill("SIGTERM");
  }
  return (await child.status).code;
}

function act(base: string): Promise<Response> {
  return fetch(`${base}api/act`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "origin": new URL(base).origin,
      "x-circuit-breaker-act": "1",
    },
    body: JSON.stringify({ action: "open", storedKey: "payments", reason: "INC-1" }),
  });
}

Deno.test("dashboard serves the page on this machine, for reading alone", async () => {
  await using stage = await openStage();
  await stage.store.transition("payments", "open");
  const code = await whileServing(stage.url, [], async (base) => {
    assertMatch(base, /^http:\/\/127\.0\.0\.1:\d+\/$/);
    assertMatch(await (await fetch(base)).text(), /<!doctype html>/);
    const { circuits } = await (await fetch(`${base}api/circuits`)).json();
    assertEquals(circuits[0].storedKey, "payments");
    const events = (await fetch(`${base}api/events`)).body!.getReader();
    assertMatch(new TextDecoder().decode((await events.read()).value), /^retry: /);
    assertEquals((await act(base)).status, 403);
    await events.cancel();
  });
  assertEquals(code, EXIT_CODES.terminated);
});

Deno.test("dashboard --allow-actions acts in the name of the user, and an open page ends with it", async () => {
  await using stage = await openStage();
  let stream: Promise<string> | undefined;
  const code = await whileServing(stage.url, ["--allow-actions"], async (base) => {
    stream = fetch(`${base}api/events`).then((answer) => answer.text()).catch(() => "cut");
    assertEquals((await act(base)).status, 200);
  });
  assertEquals(code, EXIT_CODES.terminated);
  await stream;
  const [change] = await stage.store.history();
  assertEquals([change?.cause, change?.reason], ["force", "INC-1"]);
  assertMatch(change?.actor ?? "", /^.+@.+$/);
});

Deno.test("dashboard refuses ports that cannot be had", async () => {
  await using stage = await openStage();
  const env = { DATABASE_URL: stage.url };
  const wrong = await runPiped([...PROGRAM, "dashboard", "--port", "70000"], env);
  assertEquals(wrong.code, EXIT_CODES.usage);
  assertMatch(wrong.err, /--port must be a whole number from 0 to 65535/);
  const server = await serveHttp(() => Promise.resolve(new Response("")), 0);
  const error = await failureOf(() =>
    serveHttp(() => Promise.resolve(new Response("")), server.port)
  );
  assertMatch(String(error), /another program uses the port/);
  await server.close();
});

Deno.test("a name of another site that leads to this machine is refused", async () => {
  const handler = ownHostOnly(() => Promise.resolve(new Response("shown")));
  const status = async (url: string) => (await handler(new Request(url))).status;
  assertEquals(await status("http://127.0.0.1:8042/"), 200);
  assertEquals(await status("http://localhost:8042/"), 200);
  for (const host of ["evil.example:8042", "127.0.0.1.evil.example", "localhost.evil.example"]) {
    assertEquals(await status(`http://${host}/`), 403, host);
  }
});

Deno.test("the server sends and reads bodies, and frees a stream whose reader goes", async () => {
  const cancelled = Promise.withResolvers<void>();
  const server = await serveHttp(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/fail") throw new Error("no");
    if (pathname === "/echo") return new Response((await request.text()).length.toString());
    return new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array(3)),
        cancel: () => cancelled.resolve(),
      }),
    );
  }, 0);
  const base = `http://127.0.0.1:${server.port}`;
  const echo = async (length: number) =>
    await (await fetch(`${base}/echo`, { method: "POST", body: "x".repeat(length) })).text();
  assertEquals(await echo(1000), "1000");
  assert(await failureOf(() => fetch(`${base}/fail`)) instanceof TypeError);
  const controller = new AbortController();
  const { body } = await fetch(`${base}/stream`, { signal: controller.signal });
  assertEquals((await body!.getReader().read()).value?.length, 3);
  controller.abort();
  await cancelled.promise;
  await server.close();
});
