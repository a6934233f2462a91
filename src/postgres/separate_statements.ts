import type { Call } from "../time/call.ts";
import { type GatherOptions, type Joins, PendingKey, type Send } from "./coalescer.ts";
import { runSingle, type SingleOptions } from "./single.ts";

/**
 * Answers each call with a statement of its own, for a runtime that binds a statement to the request which
 * sent it: no call waits for a statement of another request.
 */
export class SeparateStatements<Answer extends { key: string }> implements Joins<Answer> {
  readonly #send: Send<Answer>;
  readonly #options: GatherOptions & SingleOptions;

  constructor(send: Send<Answer>, options: GatherOptions & SingleOptions) {
    this.#send = send;
    this.#options = options;
  }

  /** Sends a statement a microtask later, so that the caller can say before what it is for. */
  join(call: Call, key: string): PendingKey<Answer> {
    const { kind, action } = this.#options;
    const pending = new PendingKey<Answer>(key, action, call.dueAt, () => {});
    pending.calls = 1;
    void Promise.resolve()
      .then(() =>
        runSingle(
          this.#options,
          call,
          { kind, action, keys: 1 },
          (demand) => this.#send([pending], demand),
        )
      )
      .then((answers) => pending.resolve(answers[0]), pending.reject);
    return pending;
  }
}
