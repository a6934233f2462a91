/** What happens, for all browsers that look. */

import type { CircuitChange } from "../operator_types.ts";
import { ConditionTracker } from "./condition.ts";
import { answer, problem } from "./responses.ts";
import type { SharedReads } from "./shared_reads.ts";
import type { DashboardStore } from "./store_like.ts";
import { type ServerEvent, Viewer } from "./viewer.ts";

/** How often a browser hears that all is well, in milliseconds. */
const BEAT_MS = 5000;
/** How often a store that is out is asked again, in milliseconds. */
const OUT_BEAT_MS = 1000;
/** How many changes a browser can have missed and still hear. */
const MAX_REPLAYED = 100;
/** For how long changes are gathered after one was sent, in milliseconds. */
const GATHER_MS = 50;
/** How many gathered changes are sent one by one. Of more, browsers hear the number and read anew. */
const MAX_SENT = 50;
const MAX_VIEWERS = 500;

/**
 * One watch of the store for all browsers.
 *
 * States: idle; watching.
 * - The first browser comes: idle -> watching. A watch and a beat begin.
 * - The last browser goes: watching -> idle. Both end, and what was kept for browsers that come again is
 *   dropped.
 * - The watch fails: it begins again after a while, and browsers read everything anew.
 * - The watch ends by itself because the store was closed: the streams end too, so that the server can.
 */
export class LiveEvents {
  /** Whether the store answers. */
  readonly condition: ConditionTracker;
  readonly #store: DashboardStore;
  readonly #reads: SharedReads;
  readonly #viewers = new Set<Viewer>();
  readonly #recent: CircuitChange[] = [];
  #watching: AbortController | undefined;
  #gathered: CircuitChange[] = [];
  #gathering: ReturnType<typeof setTimeout> | undefined;

  constructor(store: DashboardStore, reads: SharedReads) {
    this.#store = store;
    this.#reads = reads;
    this.condition = new ConditionTracker(() => {
      this.#reads.forget();
      this.#sendAll(this.#beat());
    });
  }

  /** Whether a browser looks. */
  get isWatching(): boolean {
    return this.#watching !== undefined;
  }

  /** Answers a browser with a stream. `lastId` is the event that it has seen last. */
  open(lastId: string | null): Response {
    if (this.#viewers.size >= MAX_VIEWERS) {
      return problem(503, {
        detail: `${MAX_VIEWERS} browsers look already.`,
        headers: { "retry-after": "30" },
      });
    }
    const viewer = new Viewer((ended) => this.#leave(ended));
    this.#viewers.add(viewer);
    if (this.#viewers.size === 1) this.#begin();
    viewer.send({ event: "hello", data: this.#status() });
    for (const change of this.#missed(lastId)) viewer.send(eventOf(change));
    return answer(viewer.body, {
      "content-type": "text/event-stream; charset=utf-8",
      // Proxies such as nginx collect an answer unless they are asked not to.
      "x-accel-buffering": "no",
    });
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    this.#watching?.abort();
    this.#watching = undefined;
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#gathered = [];
    this.#recent.length = 0;
    this.#reads.forget();
  }

  #begin(): void {
    const controller = new AbortController();
    this.#watching = controller;
    this.#reads.forget();
    void this.#watch(controller.signal);
    void this.#beatOn(controller.signal);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const changes = this.#store.watch({ signal, onBreak: () => this.#resync(signal) });
        for await (const change of changes) {
          if (signal.aborted) return;
          this.#deliver(change);
        }
        if (!signal.aborted) this.#endAll();
        return;
      } catch {
        // Whether the store answers at all is found by the beat.
      }
      await pause(OUT_BEAT_MS, signal);
      this.#resync(signal);
    }
  }

  /** Asks the store whether it answers, and shows browsers that the stream lives. */
  async #beatOn(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.condition.observe(() => this.#store.list({ limit: 1 }));
      } catch {
        // The condition has learnt of it.
      }
      await pause(this.condition.current.isOut ? OUT_BEAT_MS : BEAT_MS, signal);
      if (!signal.aborted) this.#sendAll(this.#beat());
    }
  }

  /** Sends a change at once, and those that follow it closely together: a fleet can open all circuits. */
  #deliver(change: CircuitChange): void {
    this.#reads.forget();
    this.#gathered.push(change);
    if (this.#gathering === undefined) this.#flush();
  }

  #flush(): void {
    this.#gathering = undefined;
    const changes = this.#gathered;
    if (changes.length === 0) return;
    this.#gathered = [];
    this.#recent.push(...changes.slice(-MAX_REPLAYED));
    this.#recent.splice(0, this.#recent.length - MAX_REPLAYED);
    if (changes.length <= MAX_SENT) {
      for (const change of changes) this.#sendAll(eventOf(change));
    } else {
      const data = { ...this.#status(), changes: changes.length };
      this.#sendAll({ event: "resync", id: changes.at(-1)!.cursor, data });
    }
    if (this.#viewers.size > 0) {
      this.#gathering = setTimeout(() => this.#flush(), GATHER_MS);
    }
  }

  #resync(signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#reads.forget();
    this.#recent.length = 0;
    this.#sendAll({ event: "resync", data: this.#status() });
  }

  #missed(lastId: string | null): CircuitChange[] {
    const last = this.#recent.findLastIndex(({ cursor }) => cursor === lastId);
    return last === -1 ? [] : this.#recent.slice(last + 1);
  }

  #status() {
    return { now: Date.now(), store: this.condition.current };
  }

  #beat(): ServerEvent {
    return { event: "beat", data: this.#status() };
  }

  #sendAll(event: ServerEvent): void {
    for (const viewer of [...this.#viewers]) viewer.send(event);
  }

  #endAll(): void {
    for (const viewer of [...this.#viewers]) viewer.end();
  }
}

function eventOf({ cursor, ...change }: CircuitChange): ServerEvent {
  return { event: "change", id: cursor, data: change };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
