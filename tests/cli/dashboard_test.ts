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

Deno.test("dashboard says where it is, and whether it can act", async () => {
  await using stage = await openStage();
  for (
    const [args, remark] of [
      [[], "It is read only. Ctrl-C ends it.\n"],
      [["--allow-actions"], "It can act. Ctrl-C ends it.\n"],
    ] as const
  ) {
    const printed = Promise.withResolvers<string>();
    let interrupt: (code: 130) => void = () => {};
    const running = stage.cli(["dashboard", "--port", "0", ...args], {
      onOut: printed.resolve,
      onInterruptible: (stop) => interrupt = stop,
    });
    const base = /^The dashboard is at (http:\S+)\n$/.exec(await printed.promise)?.[1] ?? "";
    assertMatch(await (await fetch(base)).text(), /<!doctype html>/);
    interrupt(EXIT_CODES.interrupted);
    const { code, err } = await running;
    assertEquals([code, err], [EXIT_CODES.interrupted, remark]);
    await failureOf(() => fetch(base));
  }
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

Deno.test("the server sends a long body at the reader's pace, and whole", async () => {
  const piece = new Uint8Array(64 * 1024).fill(7);
  const server = await serveHttp(() => {
    let left = 100;
    return Promise.resolve(
      new Response(
        new ReadableStream({
          pull(controller) {
            if (left-- > 0) controller.enqueue(piece);
            else controller.close();
          },
        }),
      ),
    );
  }, 0);
  const answer = await fetch(`http://127.0.0.1:${server.port}/`);
  const body = new Uint8Array(await answer.arrayBuffer());
  assertEquals([body.length, body.every((byte) => byte === 7)], [100 * piece.length, true]);
  await server.close();
});

Deno.test("the server reads a body up to its bound, and the handler refuses what is longer", async () => {
  let read = 0;
  const server = await serveHttp(async (request) => {
    read = (await request.arrayBuffer()).byteLength;
    return new Response(null, { status: 413 });
  }, 0);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const length = 256 * 1024 + 1;
  const head = `POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${length}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(head));
  for (let sent = 0; sent < length;) {
    sent += await connection.write(new Uint8Array(Math.min(16_384, length - sent)));
  }
  const answer = new Uint8Array(12);
  await connection.read(answer);
  assertEquals([new TextDecoder().decode(answer), read], ["HTTP/1.1 413", 256 * 1024]);
  connection.close();
  await server.close();
});

Deno.test("the server refuses a request that has no web form", async () => {
  const server = await serveHttp(() => Promise.resolve(new Response("reached")), 0);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const line = "GET / HTTP/1.1\r\nhost: [\r\n\r\n";
  await connection.write(new TextEncoder().encode(line));
  const answer = new Uint8Array(12);
  await connection.read(answer);
  assertEquals(new TextDecoder().decode(answer), "HTTP/1.1 400");
  connection.close();
  await server.close();
});
