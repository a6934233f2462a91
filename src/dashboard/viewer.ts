/** One browser that hears events. */

/** How many events may wait for a browser that reads slowly. */
const MAX_WAITING = 200;

/** After what a browser that lost the stream comes again, in milliseconds. */
const RETRY_MS = 2000;

const encoder = new TextEncoder();

/** An event for browsers. */
export interface ServerEvent {
  readonly event: string;
  /** What a browser names as the last that it has seen when it comes again. */
  readonly id?: string;
  readonly data: unknown;
}

/** A stream of server-sent events to one browser. */
export class Viewer {
  /** The body of the answer. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #onEnd: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #hasEnded = false;

  /** Begins a stream. `onEnd` is called once, whichever side ends it. */
  constructor(onEnd: (viewer: Viewer) => void) {
    this.#onEnd = () => onEnd(this);
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n`));
      },
      cancel: () => this.#finish(),
    }, { highWaterMark: MAX_WAITING });
  }

  /** Sends an event. A browser that is too slow is dropped: it comes again and reads what it missed. */
  send({ event, id, data }: ServerEvent): void {
    if (this.#hasEnded) return;
    if (this.#controller.desiredSize! <= 0) {
      this.#controller.error(new Error("Cannot send events: the browser reads too slowly"));
      this.#finish();
      return;
    }
    const name = id === undefined || !/^[\w.-]+$/.test(id) ? "" : `id: ${id}\n`;
    const text = `${name}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#controller.enqueue(encoder.encode(text));
  }

  /** Ends the stream. */
  end(): void {
    if (this.#hasEnded) return;
    this.#controller.close();
    this.#finish();
  }

  #finish(): void {
    this.#hasEnded = true;
    this.#onEnd();
  }
}
