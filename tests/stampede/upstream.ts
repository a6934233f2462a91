import { GATEWAY_HEADER } from "./messages.ts";

/** A request that has reached the upstream and waits for its answer. */
export interface Held {
  /** The gateway it came through. */
  readonly gateway: string;
  answer(status: number): void;
}

/** The service behind the gateways: answers at once, or holds requests for as long as a test likes. */
export class Upstream implements AsyncDisposable {
  /** How it answers what it does not hold. */
  status = 200;
  isHolding = false;
  /** The only gateway whose requests it holds; `undefined` for all. */
  holdsOnly: string | undefined;
  /** What it holds, in the order in which it came. */
  readonly held: Held[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(onHeld: () => void) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async ({ headers }) => {
        const gateway = headers.get(GATEWAY_HEADER) ?? "";
        if (!this.isHolding || gateway !== (this.holdsOnly ?? gateway)) {
          return new Response(null, { status: this.status });
        }
        const { promise, resolve } = Promise.withResolvers<number>();
        const held = {
          gateway,
          answer: (status: number) => {
            const index = this.held.indexOf(held);
            if (index >= 0) this.held.splice(index, 1);
            resolve(status);
          },
        };
        this.held.push(held);
        onHeld();
        return new Response(null, { status: await promise });
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const held of [...this.held]) held.answer(503);
    await this.#server.shutdown();
  }
}
