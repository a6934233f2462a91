/**
 * A real upstream whose faults a test chooses: it works, fails, hangs, resets connections, and holds
 * requests until the test releases them.
 *
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How the upstream answers. */
export type UpstreamMode = "works" | "fails" | "hangs" | "resets" | "holds";

/** An upstream on a free port of 127.0.0.1. */
export class FaultyUpstream implements AsyncDisposable {
  /** How it answers from now on. */
  mode: UpstreamMode = "works";
  /** The paths of the requests that it has received. */
  readonly received: string[] = [];
  /** How many requests it did not answer because the caller closed the connection. */
  abandoned = 0;
  readonly #server = createServer((request, response) => this.#serve(request, response));
  readonly #held: ServerResponse[] = [];

  /** Starts one. */
  static async start(): Promise<FaultyUpstream> {
    const upstream = new FaultyUpstream();
    await new Promise<void>((resolve) => upstream.#server.listen(0, "127.0.0.1", resolve));
    return upstream;
  }

  /** Where it listens. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Answers the requests that it holds, and works from now on. */
  release(): void {
    this.mode = "works";
    for (const response of this.#held.splice(0)) answer(response, 200);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.received.push(request.url ?? "");
    request.resume();
    response.once("close", () => {
      if (!response.writableEnded) this.abandoned++;
    });
    switch (this.mode) {
      case "works":
        return answer(response, 200);
      case "fails":
        return answer(response, 500);
      case "resets":
        return void request.socket.destroy();
      case "holds":
        return void this.#held.push(response);
      case "hangs":
        return;
    }
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

function answer(response: ServerResponse, status: number): void {
  // A connection that is kept alive can fail in another call than the one that it was reset in.
  response.writeHead(status, { "connection": "close", "content-type": "application/json" });
  response.end("{}");
}
