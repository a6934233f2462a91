/** The service behind the gateways. It counts what reaches it and fails when told to. */
export class Upstream implements AsyncDisposable {
  /** Whether it answers 500 instead of 200. */
  failing = false;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #received = 0;

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
      this.#received++;
      return this.failing
        ? Response.json({ error: "out of order" }, { status: 500 })
        : Response.json({ orders: [] });
    });
  }

  /** Where it serves. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** How many requests have reached it. */
  get received(): number {
    return this.#received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
