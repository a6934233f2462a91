import type { Answer, GatewayProcess } from "./gateway_process.ts";
import type { Upstream } from "./upstream.ts";

/**
 * Requests of which some have to wait at the upstream. It lets what reaches it wait until
 * {@linkcode Crowd.disperse}.
 */
export class Crowd {
  /** What the gateways have answered so far. */
  readonly answers: Answer[] = [];
  readonly #upstream: Upstream;
  readonly #requests: Promise<void>[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
    upstream.hold(() => this.#notify());
  }

  /**
   * Sends this number of requests through every gateway, all at once. Resolves when each request is
   * answered or waits at the upstream.
   */
  async send(gateways: readonly GatewayProcess[], requests: number): Promise<void> {
    for (const gateway of gateways) {
      for (let sent = 0; sent < requests; sent++) this.#requests.push(this.#request(gateway));
    }
    const failed = Promise.all(this.#requests);
    while (this.answers.length + this.#upstream.held.length < this.#requests.length) {
      await Promise.race([this.#changed.promise, failed]);
    }
  }

  /** Lets the upstream answer, and waits until all requests are answered. */
  async disperse(): Promise<void> {
    this.#upstream.release();
    await Promise.all(this.#requests);
  }

  async #request(gateway: GatewayProcess): Promise<void> {
    this.answers.push(await gateway.request());
    this.#notify();
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
