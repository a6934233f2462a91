/** A browser's side of server-sent events. */

import { assert } from "@std/assert";
import { get, type Handler } from "./requests.ts";

/** An event as a browser gets it. */
export interface HeardEvent {
  event: string;
  id: string | undefined;
  // deno-lint-ignore no-explicit-any
  data: any;
}

/** An open stream. Disposal closes it, as a browser does that goes away. */
export class EventStream implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  private constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  /** Opens a stream, as a browser does that has seen `lastId` last. */
  static async open(handler: Handler, lastId?: string): Promise<EventStream> {
    const headers: HeadersInit = lastId === undefined ? {} : { "last-event-id": lastId };
    const { status, body } = await get(handler, "/api/events", { headers });
    assert(status === 200 && body !== null, `status ${status}`);
    return new EventStream(body);
  }

  /** The next event with one of these names; `undefined` at the end of the stream. */
  async next(...names: string[]): Promise<HeardEvent | undefined> {
    for (;;) {
      const event = await this.#read();
      if (event === undefined || names.includes(event.event)) return event;
    }
  }

  async #read(): Promise<HeardEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end !== -1) {
        const fields = new Map(
          this.#text.slice(0, end).split("\n").map((line) => {
            const colon = line.indexOf(": ");
            return [line.slice(0, colon), line.slice(colon + 2)];
          }),
        );
        this.#text = this.#text.slice(end + 2);
        const event = fields.get("event");
        if (event === undefined) continue;
        return { event, id: fields.get("id"), data: JSON.parse(fields.get("data") ?? "null") };
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}
