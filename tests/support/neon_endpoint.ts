/**
 * What Neon runs in front of its servers, as far as its driver needs it: statements over HTTP, each in a
 * request of its own, answered by a real server.
 *
 * @module
 */

import { neonConfig } from "@neondatabase/serverless";
// @ts-types="@types/pg"
import pg from "pg";

/** The fields of a server's error that the driver copies into its own. */
const ERROR_FIELDS = [
  ...["severity", "code", "detail", "hint", "position", "internalPosition", "internalQuery"],
  ...["where", "schema", "table", "column", "dataType", "constraint", "file", "line", "routine"],
] as const;

/** Every value as the server wrote it: the driver reads it. */
const RAW_TEXT = { getTypeParser: () => (text: string | null) => text };

/** Disposal ends the endpoint and its connections. */
export interface NeonEndpoint extends AsyncDisposable {
  /** The address at which it passes a WebSocket on to a server, as the driver's option of this name. */
  readonly wsProxy: (host: string, port: string | number) => string;
  /** How many requests with statements it got. */
  readonly requests: number;
  /** Does something else with the next request; the answer of the endpoint follows where it resolves. */
  interrupt(action: (request: Request) => Promise<Response | void>): void;
}

/** Starts an endpoint, and has the driver use it for all connection strings. */
export function startNeonEndpoint(): NeonEndpoint {
  const pools = new Map<string, pg.Pool>();
  const poolFor = (url: string) => {
    let pool = pools.get(url);
    if (pool === undefined) {
      pools.set(url, pool = new pg.Pool({ connectionString: url, max: 10 }));
      pool.on("error", () => {}); // an idle connection that the server ended
    }
    return pool;
  };
  let requests = 0;
  let interruption: ((request: Request) => Promise<Response | void>) | undefined;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      if (request.headers.get("upgrade") === "websocket") return passOn(request);
      requests++;
      const interrupt = interruption;
      interruption = undefined;
      return await interrupt?.(request) ?? await answer(request, poolFor);
    },
  );
  const { fetchEndpoint } = neonConfig;
  neonConfig.fetchEndpoint = () => `http://127.0.0.1:${server.addr.port}/sql`;
  return {
    wsProxy: (host, port) => `127.0.0.1:${server.addr.port}/v1?address=${host}:${port}`,
    get requests() {
      return requests;
    },
    interrupt(action) {
      interruption = action;
    },
    async [Symbol.asyncDispose]() {
      neonConfig.fetchEndpoint = fetchEndpoint;
      await server.shutdown();
      await Promise.all([...pools.values()].map((pool) => pool.end()));
    },
  };
}

/** Passes the bytes of a WebSocket on to a server, and back: the protocol of the server inside. */
function passOn(request: Request): Response {
  const [hostname = "", port] = new URL(request.url).searchParams.get("address")!.split(":");
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  const connecting = Deno.connect({ hostname, port: Number(port) });
  const writer = connecting.then(({ writable }) => writable.getWriter());
  socket.onmessage = async ({ data }) => {
    await (await writer).write(new Uint8Array(data)).catch(() => socket.close());
  };
  socket.onclose = async () => {
    await (await writer).close().catch(() => {}); // closed by the server
  };
  socket.onopen = async () => {
    try {
      for await (const data of (await connecting).readable) socket.send(data);
    } catch {
      // The connection was reset.
    }
    socket.close();
  };
  return response;
}

async function answer(request: Request, poolFor: (url: string) => pg.Pool): Promise<Response> {
  const url = request.headers.get("Neon-Connection-String");
  const isRaw = ["Neon-Raw-Text-Output", "Neon-Array-Mode"].every((name) =>
    request.headers.get(name) === "true"
  );
  if (url === null || !isRaw) return new Response("not a request of the driver", { status: 500 });
  const { query, params }: { query: string; params: unknown[] } = await request.json();
  const config = {
    text: query,
    values: params,
    rowMode: "array" as const,
    types: RAW_TEXT,
    // Neon's proxy sends nothing by the simple protocol, which would run several statements.
    queryMode: "extended",
  };
  try {
    const { fields, rows, command, rowCount } = await poolFor(url).query(config);
    return Response.json({ fields, rows, command, rowCount, rowAsArray: true });
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) return new Response(`${error}`, { status: 500 });
    const shown = ERROR_FIELDS.map((name) => [name, error[name as keyof typeof error]]);
    return Response.json({ message: error.message, ...Object.fromEntries(shown) }, { status: 400 });
  }
}
