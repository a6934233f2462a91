/** What the tests of `wrapFetch` share: a real server behind a breaker. */

import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  InMemoryCircuitBreakerStore,
} from "../../mod.ts";

type Handler = (request: Request) => Response | Promise<Response>;

/** A server, a breaker that opens after two failures, and what the circuits have counted. */
export class Scene implements AsyncDisposable {
  readonly store: InMemoryCircuitBreakerStore = new InMemoryCircuitBreakerStore({
    failureThreshold: 2,
    failureWindowMs: 60_000,
  });
  readonly breaker: CircuitBreaker;
  readonly origin: string;
  readonly paths: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(handler: Handler, options: CircuitBreakerOptions = {}) {
    this.breaker = new CircuitBreaker(this.store, { record: "await", ...options });
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      this.paths.push(new URL(request.url).pathname);
      return handler(request);
    });
    this.origin = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async counts(key: string = this.origin): Promise<[failures: number, successes: number]> {
    const { failureCount, successCount } = await this.store.peek(key);
    return [failureCount, successCount];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.breaker.close();
    await this.#server.shutdown();
  }
}

/** Answers every request. */
export const ok = (): Response => new Response("fine");
/** The text of an answer. */
export const text = async (response: Promise<Response>): Promise<string> =>
  await (await response).text();
