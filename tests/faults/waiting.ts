/**
 * Whether calls wait for anything, and how long they take: measures that do not depend on how busy the
 * machine is.
 *
 * @module
 */

import { clearImmediate, setImmediate } from "node:timers";
import { Noise } from "./noise.ts";

/** Watches whether the event loop goes on to anything but microtasks: to a timer or a socket. */
export class LoopWatch {
  readonly #immediate = setImmediate(() => this.#hasGoneOn = true);
  #hasGoneOn = false;

  /** Ends the watch, and says whether the event loop went on. */
  end(): boolean {
    clearImmediate(this.#immediate);
    return this.#hasGoneOn;
  }
}

/** Makes calls one after the other, and counts those that waited for a timer or a socket. */
export async function countWaiting(calls: number, call: () => Promise<unknown>): Promise<number> {
  let waited = 0;
  for (let made = 0; made < calls; made++) {
    const watch = new LoopWatch();
    await call();
    if (watch.end()) waited++;
    // The event loop runs what the store does in the background.
    if (made % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  return waited;
}

/** How long something takes, without the time in which the machine did not let this process run. */
export async function ownTime(work: () => Promise<unknown>): Promise<number> {
  using noise = new Noise();
  const start = performance.now();
  await work();
  return performance.now() - start - noise.total();
}
