// @ts-types="@types/express"
import type { ErrorRequestHandler } from "express";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  InMemoryCircuitBreakerStore,
} from "../../mod.ts";

/** A breaker that opens after two failures, and a server for an app. */
export class Scene implements AsyncDisposable {
  readonly store: InMemoryCircuitBreakerStore;
  readonly breaker: CircuitBreaker<unknown>;
  readonly #server: ReturnType<typeof createServer>;

  private constructor(listener: RequestListener, breaker: Scene["breaker"], store: Scene["store"]) {
    this.#server = createServer(listener);
    this.breaker = breaker;
    this.store = store;
  }

  /** Makes an app and serves it. */
  static async open(
    make: (breaker: CircuitBreaker<unknown>, store: InMemoryCircuitBreakerStore) => unknown,
    options: CircuitBreakerOptions<unknown> = {},
  ): Promise<Scene> {
    const store = new InMemoryCircuitBreakerStore({ failureThreshold: 2, failureWindowMs: 60_000 });
    const breaker = new CircuitBreaker<unknown>(store, { record: "await", ...options });
    const scene = new Scene(make(breaker, store) as RequestListener, breaker, store);
    await new Promise<void>((resolve) => scene.#server.listen(0, "127.0.0.1", resolve));
    return scene;
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Asks over HTTP. */
  async ask(path: string, init?: RequestInit): Promise<[status: number, text: string]> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, init);
    return [response.status, await response.text()];
  }

  /** What a circuit has counted. */
  async counts(key: string): Promise<[failures: number, successes: number]> {
    const { failureCount, successCount } = await this.store.peek(key);
    return [failureCount, successCount];
  }

  /** The circuits that there are. */
  async keys(): Promise<string[]> {
    return (await this.store.list()).map(({ key }) => key);
  }

  /** Stops the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Answers every error without printing it. */
export const failed: ErrorRequestHandler = (_error, _req, res, _next) =>
  void res.status(500).send("failed");
