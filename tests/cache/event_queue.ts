/** Virtual time for a simulation of many instances over real statements. */

import { setImmediate } from "node:timers";
import type { Timers } from "../../src/time/timers.ts";
import type { PostgresClient } from "../../src/types.ts";

interface Event {
  readonly at: number;
  /** Events of one moment run in the order in which they were added. */
  readonly number: number;
  readonly run: () => Promise<void> | void;
  isStopped: boolean;
}

/** Runs events in the order of their times. Between two of them, everything runs that waits for nothing. */
export class EventQueue implements Timers {
  readonly canJoin = true;
  #now: number;
  #number = 0;
  /** A binary heap: each event is before the two that follow it. */
  readonly #heap: Event[] = [];

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  start(run: () => unknown, delayMs: number): unknown {
    return this.startAwaited(() => void run(), delayMs);
  }

  /** Nothing else runs until the promise of this has settled. */
  startAwaited(run: () => Promise<void> | void, delayMs: number): unknown {
    const event = { at: this.#now + delayMs, number: this.#number++, run, isStopped: false };
    this.#push(event);
    return event;
  }

  stop(timer: unknown): void {
    if (timer !== undefined) (timer as Event).isStopped = true;
  }

  run(work: () => Promise<unknown>): void {
    void work();
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.start(resolve, ms));
  }

  /** Runs all events up to a time. */
  async runUntil(end: number): Promise<void> {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const event = this.#pop();
      if (event.isStopped) continue;
      this.#now = event.at;
      await event.run();
      await drain();
    }
    this.#now = end;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let place = heap.push(event) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = event;
  }

  #pop(): Event {
    const heap = this.#heap;
    const [first, last] = [heap[0]!, heap.pop()!];
    if (heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.number < other.number);
}

/** Lets everything run that waits for nothing: each promise that is settled, and what follows from it. */
function drain(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/**
 * A client whose statements take virtual time. The server executes each statement for real, some time after
 * it was sent and some time before it is answered. With one connection below, it executes them in the
 * order of these times.
 */
export class DelayedClient implements PostgresClient {
  /** How many statements were sent. */
  sent = 0;
  /** How many of them have no answer yet. */
  inFlight = 0;
  readonly #client: PostgresClient;
  readonly #events: EventQueue;
  readonly #wayMs: () => number;

  /** `wayMs` is how long a statement or its answer is under way. */
  constructor(client: PostgresClient, events: EventQueue, wayMs: () => number) {
    this.#client = client;
    this.#events = events;
    this.#wayMs = wayMs;
  }

  query(text: string, params?: unknown[]): ReturnType<PostgresClient["query"]> {
    this.sent++;
    this.inFlight++;
    return new Promise((resolve, reject) => {
      this.#events.start(() => {
        const answer = this.#client.query(text, params);
        // It may fail before anything waits for it.
        answer.catch(() => {});
        this.#events.startAwaited(async () => {
          this.inFlight--;
          await answer.then(resolve, reject);
        }, this.#wayMs());
      }, this.#wayMs());
    });
  }
}
