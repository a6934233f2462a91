import process from "node:process";

const TICK_MS = 5;

/** Shorter delays are the timers' own, which no deadline is excused from. */
const LEAST_STALL_MS = 10;

/**
 * How long this process wanted to run and was not let: what the machine's other work costs it. A
 * stall of the event loop counts as noise only as far as the process itself used no CPU in it, so a
 * library that blocks the loop is not excused.
 */
export class Noise implements Disposable {
  #stalledMs = 0;
  #lastTick = performance.now();
  #lastCpu = cpuMs();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** All noise until now, in milliseconds: take the difference of two readings. */
  total(): number {
    this.#tick();
    return this.#stalledMs;
  }

  #tick(): void {
    const now = performance.now();
    const late = now - this.#lastTick - TICK_MS;
    if (late <= 0) return;
    const cpu = cpuMs();
    if (late >= LEAST_STALL_MS) this.#stalledMs += Math.max(0, late - (cpu - this.#lastCpu));
    this.#lastTick = now;
    this.#lastCpu = cpu;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
