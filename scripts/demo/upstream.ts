import { GATEWAY_HEADER } from "./messages.ts";

/** A request that has reached the upstream and waits for its answer. */
export interface Held {
  /** The gateway it came through. */
  gateway: string;
}

/** The service behind the gateways. It counts requests, and fails or answers slowly on demand. */
export class Upstream implements AsyncDisposable {
  /** Whether it answers 500 instead of 200. */
  failing = false;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #held: Held[] = [];
  #received = 0;
  #released = Promise.withResolvers<void>();
  #onHeld: (() => void) | undefined;

  constructor() {
    this.#released.resolve();
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async ({ headers }) => {
        this.#received++;
        if (this.#onHeld !== undefined) {
          this.#held.push({ gateway: headers.get(GATEWAY_HEADER) ?? "unknown" });
          this.#onHeld();
        }
        await this.#released.promise;
        return this.failing
          ? Response.json({ error: "out of order" }, { status: 500 })
          : Response.json({ orders: [] });
      },
    );
  }

  /** Where it serves. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** How many requests have reached it. */
  get received(): number {
    return this.#received;
  }

  /** The requests that wait for their answers. */
  get held(): readonly Held[] {
    return this.#held;
  }

  /** Lets requests wait for their answers from now on, and says when one does. */
  hold(onHeld: () => void): void {
    this.#released = Promise.withResolvers();
    this.#onHeld = onHeld;
  }

  /** Answers what waits, and everything from now on at once. */
  release(): void {
    this.#onHeld = undefined;
    this.#held.length = 0;
    this.#released.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#server.shutdown();
  }
}
