/**
 * A real upstream that answers as its program sets it, on every runtime.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A server on a free port of 127.0.0.1. */
export interface Upstream {
  readonly url: string;
  /** What it answers with. */
  status: number;
  /** Whether it leaves requests without an answer. */
  hangs: boolean;
  /** How many requests it has received. */
  received: number;
  /** Answers with 200 and counts from zero again. */
  reset(): void;
  close(): Promise<void>;
}

/** Starts an upstream. */
export async function startUpstream(): Promise<Upstream> {
  const server = createServer((_request, response) => {
    upstream.received++;
    if (upstream.hangs) return;
    // Without it, connections that are kept alive would keep the server from closing.
    response.writeHead(upstream.status, { "connection": "close" }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const upstream: Upstream = {
    url: `http://127.0.0.1:${port}`,
    status: 200,
    hangs: false,
    received: 0,
    reset() {
      upstream.status = 200;
      upstream.hangs = false;
      upstream.received = 0;
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
  return upstream;
}
