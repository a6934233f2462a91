import type { ExpressResponseLike } from "./express_like.ts";
import { ClientSignal } from "./client_signal.ts";

/** What `classify` gets as the result of a request that was answered. */
export class ServedResponse {
  /** The status that was sent. */
  readonly status: number;

  constructor(status: number) {
    this.status = status;
  }

  /** It counts as a `Response` does. */
  get [Symbol.toStringTag](): string {
    return "Response";
  }
}

/** Responses that are under way, for errors that their status does not show. */
const underWay = new WeakMap<object, Serving>();

/**
 * A response of a Node server, from the request to its end.
 *
 * States: under way; ended.
 * - `finish`, the last byte has gone to the system: under way -> ended, with the status.
 * - `close` before that, because an error destroyed the response, or `fail`: under way -> ended, with the error.
 * - `close` before that without an error: under way -> ended, because the client is gone. The signal aborts.
 */
export class Serving {
  /** Aborts when the client is gone. */
  readonly client: ClientSignal = new ClientSignal();
  /** How the response ends. It rejects with the error that destroyed it. */
  readonly end: Promise<ServedResponse>;
  /** The same response for a middleware in front of this one. */
  readonly #outer: Serving | undefined;
  #fail!: (error: unknown) => void;

  constructor(res: ExpressResponseLike) {
    this.end = new Promise((resolve, reject) => {
      let isFinished = false;
      this.#fail = reject;
      res.once("finish", () => {
        isFinished = true;
        resolve(new ServedResponse(res.statusCode));
      });
      res.once("close", () => {
        if (isFinished) return;
        if (res.errored) reject(res.errored);
        else this.client.abort();
      });
    });
    // Without a listener a rejection would end the process. The breaker listens only to calls that it allows.
    this.end.catch(() => {});
    // No more events come of a connection that is closed already.
    if (res.destroyed === true) this.client.abort();
    this.#outer = underWay.get(res);
    underWay.set(res, this);
  }

  /** Ends it with an error: where Express can only cut the response off, or a circuit has refused the request. */
  static fail(res: object, error: unknown): void {
    for (let each = underWay.get(res); each !== undefined; each = each.#outer) each.#fail(error);
  }
}
