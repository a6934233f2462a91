import { assert, assertEquals, assertRejects } from "@std/assert";
import { TcpProxy } from "./tcp_proxy.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A server that answers every chunk with its name and the chunk. */
function startEcho(name: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const received: string[] = [];
  const open = new Set<Promise<void>>();
  const serve = async (conn: Deno.TcpConn) => {
    const buffer = new Uint8Array(1000);
    try {
      for (let size; (size = await conn.read(buffer)) !== null;) {
        const text = decoder.decode(buffer.subarray(0, size));
        received.push(text);
        await conn.write(encoder.encode(`${name}:${text}`));
      }
    } catch {
      // Cut on purpose.
    }
    conn.close();
  };
  const accepting = (async () => {
    for await (const conn of listener) open.add(serve(conn));
  })();
  return {
    received,
    target: { hostname: "127.0.0.1", port: listener.addr.port },
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await Promise.all(open);
    },
  };
}

/** A client of the proxy. */
async function connect(port: number) {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const send = (text: string) => conn.write(encoder.encode(text));
  const receive = async () => {
    const buffer = new Uint8Array(1000);
    const size = await conn.read(buffer);
    return size === null ? null : decoder.decode(buffer.subarray(0, size));
  };
  return {
    send,
    receive,
    async ask(text: string) {
      await send(text);
      return await receive();
    },
    [Symbol.dispose]: () => conn.close(),
  };
}

/** A round trip through another proxy: what else was on its way has been received by then. */
async function passTime(server: ReturnType<typeof startEcho>): Promise<void> {
  await using other = TcpProxy.start(server.target);
  using client = await connect(other.port);
  for (let round = 0; round < 20; round++) await client.ask("time");
}

/** That the other end is gone, by a proper end or by a reset. */
async function assertClosed(client: Awaited<ReturnType<typeof connect>>): Promise<void> {
  assertEquals(await client.receive().catch(() => null), null);
}

async function openStage() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(startEcho("one"));
  const proxy = stack.use(TcpProxy.start(server.target));
  const kept = stack.move();
  return { server, proxy, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

Deno.test("TcpProxy forwards in both directions and counts", async () => {
  await using stage = await openStage();
  using client = await connect(stage.proxy.port);
  assertEquals(await client.ask("a"), "one:a");
  assertEquals(await client.ask("b"), "one:b");
  const { open, arrivals, messages } = stage.proxy;
  assertEquals([open, arrivals.length, messages], [1, 1, 2]);
});

Deno.test("TcpProxy closes one end when the other closes", async () => {
  await using stage = await openStage();
  const client = await connect(stage.proxy.port);
  await client.ask("a");
  client[Symbol.dispose]();
  using second = await connect(stage.proxy.port);
  while (stage.proxy.open > 1) await second.ask("b");
});

Deno.test("TcpProxy.hang keeps what is sent until resume", async () => {
  await using stage = await openStage();
  const { proxy, server } = stage;
  using old = await connect(proxy.port);
  await old.ask("a");
  proxy.hang();
  await old.send("b");
  using fresh = await connect(proxy.port);
  await fresh.send("c");
  await passTime(server);
  assertEquals(server.received.filter((text) => text !== "time"), ["a"]);
  await proxy.resume();
  assertEquals([await old.receive(), await fresh.receive()], ["one:b", "one:c"]);
});

Deno.test("TcpProxy.drop loses what is sent, and the connections for good", async () => {
  await using stage = await openStage();
  const { proxy, server } = stage;
  using old = await connect(proxy.port);
  await old.ask("a");
  proxy.drop();
  using blind = await connect(proxy.port);
  await old.send("b");
  await blind.send("c");
  await passTime(server);
  await proxy.resume();
  await old.send("d");
  using fresh = await connect(proxy.port);
  assertEquals(await fresh.ask("e"), "one:e");
  await passTime(server);
  assertEquals(server.received.filter((text) => text !== "time"), ["a", "e"]);
  assertEquals(proxy.open, 3);
});

Deno.test("TcpProxy.delay keeps bytes for a time in both directions, in their order", async () => {
  await using stage = await openStage();
  using client = await connect(stage.proxy.port);
  await client.ask("a");
  stage.proxy.delay(30);
  const start = performance.now();
  assertEquals(await client.ask("b"), "one:b");
  const took = performance.now() - start;
  assert(took >= 58, `took ${took} ms`);
  stage.proxy.delay(0);
  assertEquals(await client.ask("c"), "one:c");
});

Deno.test("TcpProxy.cut closes all connections, also while they hang or are dead", async () => {
  await using stage = await openStage();
  const { proxy } = stage;
  for (const fault of [() => {}, () => proxy.hang(), () => proxy.drop()]) {
    using client = await connect(proxy.port);
    await client.ask("a");
    fault();
    await client.send("b");
    proxy.cut();
    if (fault.toString() === "() => {}") await client.receive().catch(() => null);
    await assertClosed(client);
    await proxy.resume();
    using next = await connect(proxy.port);
    assertEquals(await next.ask("c"), "one:c");
  }
});

Deno.test("TcpProxy.turnAway accepts and closes; connections of before go on", async () => {
  await using stage = await openStage();
  const { proxy } = stage;
  using old = await connect(proxy.port);
  await old.ask("a");
  proxy.turnAway();
  using unlucky = await connect(proxy.port);
  await assertClosed(unlucky);
  assertEquals(await old.ask("b"), "one:b");
  await proxy.resume();
  using fresh = await connect(proxy.port);
  assertEquals(await fresh.ask("c"), "one:c");
  assertEquals(proxy.arrivals.length, 3);
});

Deno.test("TcpProxy.refuse refuses until resume, which listens on the same port", async () => {
  await using stage = await openStage();
  const { proxy } = stage;
  await proxy.refuse();
  await assertRejects(() => connect(proxy.port), Deno.errors.ConnectionRefused);
  await proxy.resume();
  using client = await connect(proxy.port);
  assertEquals(await client.ask("a"), "one:a");
});

Deno.test("TcpProxy.redirect sends new connections elsewhere and leaves the old", async () => {
  await using stage = await openStage();
  await using other = startEcho("two");
  const { proxy } = stage;
  using old = await connect(proxy.port);
  assertEquals(await old.ask("a"), "one:a");
  proxy.redirect(other.target);
  using fresh = await connect(proxy.port);
  assertEquals(await fresh.ask("b"), "two:b");
  assertEquals(await old.ask("c"), "one:c");
});

Deno.test("TcpProxy closes a client whose server refuses", async () => {
  await using stage = await openStage();
  await using gone = TcpProxy.start("postgres://127.0.0.1:1/nothing");
  using client = await connect(gone.port);
  await assertClosed(client);
  assertEquals(
    stage.proxy.urlOf("postgres://a:b@localhost:5432/c"),
    `postgres://a:b@127.0.0.1:${stage.proxy.port}/c`,
  );
});
