/**
 * Requests of a runtime that binds promises, sockets and timers to them, played in this process.
 *
 * The rule: what a request has begun never settles once the request has ended. A request ends when its
 * handler and all work that was handed to `waitUntil` have settled, or when it is cancelled.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { PostgresClient } from "../../src/types.ts";

const setRealTimeout = globalThis.setTimeout;
const clearRealTimeout = globalThis.clearTimeout;

/** One request, from its begin to its end. */
class BoundRequest {
  isAlive = true;
  isCancelled = false;
  readonly timers = new Set<unknown>();
  readonly ended = Promise.withResolvers<void>();
  #holds = 0;

  /** Keeps the request alive until work has settled. */
  hold(work: Promise<unknown>): void {
    this.#holds++;
    const release = () => {
      // What follows from the work in the same moment still belongs to the request.
      setRealTimeout(() => --this.#holds === 0 && this.end(), 0);
    };
    work.then(release, release);
  }

  end(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const timer of this.timers) clearRealTimeout(timer as number);
    this.timers.clear();
    this.ended.resolve();
  }
}

/** A request that a test has begun. */
export interface Begun<Result> {
  /** What the handler returned. Never settles where the request is cancelled before. */
  readonly result: Promise<Result>;
  /** Resolves when the request has ended with all of its work. */
  readonly ended: Promise<void>;
  /** Ends it in the middle of whatever it does, also of what `waitUntil` has. */
  cancel(): void;
}

/** All requests of one isolate. While there is one object of this class, timers belong to requests. */
export class Requests implements Disposable {
  readonly #current = new AsyncLocalStorage<BoundRequest>();
  readonly #alive = new Set<BoundRequest>();
  /** What happened outside of a request, which such a runtime forbids. */
  readonly violations: string[] = [];

  constructor() {
    const replaced = (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      const request = this.#current.getStore();
      if (request === undefined) return setRealTimeout(run, ms, ...args);
      // Nothing of a request that was cancelled runs any more.
      if (request.isCancelled) return 0;
      if (!request.isAlive) this.violations.push("a timer after the end of its request");
      const timer = setRealTimeout(() => {
        request.timers.delete(timer);
        if (request.isAlive) run(...args);
      }, ms);
      request.timers.add(timer);
      return timer;
    };
    globalThis.setTimeout = replaced as typeof setTimeout;
    globalThis.clearTimeout = (timer) => {
      for (const request of this.#alive) request.timers.delete(timer);
      clearRealTimeout(timer);
    };
  }

  /** The runtime's `waitUntil`. */
  readonly waitUntil = (work: Promise<unknown>): void => {
    const request = this.#current.getStore();
    if (request?.isAlive) request.hold(work);
    else if (!request?.isCancelled) this.violations.push("waitUntil outside of a request");
  };

  /** Resolves when all requests have ended. */
  async ended(): Promise<void> {
    await Promise.all([...this.#alive].map(({ ended }) => ended.promise));
  }

  /** Timers of requests that run. */
  get timers(): number {
    return [...this.#alive].reduce((sum, { timers }) => sum + timers.size, 0);
  }

  /** Begins a request. */
  begin<Result>(handle: () => Promise<Result>): Begun<Result> {
    const request = new BoundRequest();
    this.#alive.add(request);
    const result = this.#current.run(request, async () => await handle());
    request.hold(result);
    const ended = request.ended.promise.then(() => void this.#alive.delete(request));
    const cancel = () => {
      request.isCancelled = true;
      request.end();
    };
    return { result, ended, cancel };
  }

  /** A request to its end. Returns what its handler returned. */
  async run<Result>(handle: () => Promise<Result>): Promise<Result> {
    const { result, ended } = this.begin(handle);
    const returned = await result;
    await ended;
    return returned;
  }

  /** A client whose answers reach only requests that are alive. */
  client(client: PostgresClient): PostgresClient {
    return {
      query: (text, params) => {
        const request = this.#current.getStore();
        if (request === undefined) {
          this.violations.push("a statement outside of a request");
          return Promise.reject(new Error("no request"));
        }
        if (request.isCancelled) return new Promise(() => {});
        if (!request.isAlive) this.violations.push("a statement after the end of its request");
        return new Promise((resolve, reject) => {
          // The driver's own timers and sockets are not what is tested.
          this.#current.exit(() => client.query(text, params)).then(
            (result) => request.isAlive && resolve(result),
            (error) => request.isAlive && reject(error),
          );
        });
      },
    };
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = setRealTimeout;
    globalThis.clearTimeout = clearRealTimeout;
  }
}
