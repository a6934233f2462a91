/** Serves a web-standard handler on this machine alone, through Node's server, which all runtimes have. */

import { describe } from "../describe.ts";
import { createServer, type NodeRequest, type NodeResponse, type NodeServer } from "./node.ts";
import { UsageError } from "./usage_error.ts";

const HOST = "127.0.0.1";

/** A longer body is cut here, and the handler refuses it: it takes shorter ones. */
const MAX_BODY_BYTES = 256 * 1024;

/** What answers requests. */
export type WebHandler = (request: Request) => Promise<Response>;

/** A server that runs. */
export interface HttpServer {
  readonly port: number;
  /** Ends it and all of its connections. */
  close(): Promise<void>;
}

/**
 * Serves on a port of this machine, or on a free one where the port is 0.
 *
 * @throws {UsageError} If the port cannot be had.
 */
export async function serveHttp(handler: WebHandler, port: number): Promise<HttpServer> {
  const server = createServer((request, response) => {
    answer(handler, request, response).catch(() => response.destroy());
  });
  await listen(server, port);
  return {
    port: server.address().port,
    close: () =>
      new Promise((resolve) => {
        server.once("close", () => resolve());
        server.close();
        server.closeAllConnections();
      }),
  };
}

function listen(server: NodeServer, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("listening", () => resolve());
    server.once("error", (error) => {
      const { code } = error as { code?: unknown };
      const reason = code === "EADDRINUSE"
        ? "another program uses the port, pass another --port"
        : "the system refuses the port, pass another --port";
      reject(new UsageError(`Cannot serve dashboard: ${reason}, received ${describe(port)}`));
    });
    server.listen(port, HOST);
  });
}

async function answer(
  handler: WebHandler,
  request: NodeRequest,
  response: NodeResponse,
): Promise<void> {
  const given = await requestOf(request);
  if (given === undefined) {
    response.writeHead(400, {});
    response.end();
    return;
  }
  const { status, headers, body } = await handler(given);
  response.writeHead(status, Object.fromEntries(headers));
  if (body !== null) await send(body, response);
  response.end();
}

/** Sends a body at the reader's pace, until the reader goes. */
async function send(body: ReadableStream<Uint8Array>, response: NodeResponse): Promise<void> {
  const reader = body.getReader();
  let hasGone = false;
  const gone = new Promise<void>((resolve) =>
    response.once("close", () => {
      hasGone = true;
      reader.cancel().catch(() => {}); // it has ended already
      resolve();
    })
  );
  for (;;) {
    const { done, value } = await reader.read();
    if (done || hasGone) return;
    if (response.write(value)) continue;
    await Promise.race([gone, new Promise<void>((resolve) => response.once("drain", resolve))]);
  }
}

/** The request in the web's form; `undefined` where it has none, such as one without a host. */
async function requestOf(request: NodeRequest): Promise<Request | undefined> {
  const { method = "GET", url = "/", rawHeaders } = request;
  const headers = new Headers();
  try {
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
    }
    const hasBody = method !== "GET" && method !== "HEAD";
    const body = hasBody ? await bytesOf(request) : undefined;
    return new Request(`http://${headers.get("host")}${url}`, { method, headers, body });
  } catch {
    return undefined;
  }
}

async function bytesOf(request: NodeRequest): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(MAX_BODY_BYTES);
  let length = 0;
  for await (const chunk of request) {
    const room = chunk.subarray(0, MAX_BODY_BYTES - length);
    bytes.set(room, length);
    length += room.byteLength;
    if (length === MAX_BODY_BYTES) break;
  }
  return bytes.slice(0, length);
}
