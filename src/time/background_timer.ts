/** Timers that do not keep the process alive. */

type Timer = ReturnType<typeof setTimeout>;

/** What a timer of Node, Bun and newer versions of Deno can do. */
interface Holdable {
  ref?(): void;
  unref?(): void;
}

/** What Deno does for timers that are numbers. */
interface Runtime {
  refTimer?(id: unknown): void;
  unrefTimer?(id: unknown): void;
}

/**
 * Sets whether a timer keeps the process alive. Returns `false` where the runtime treats all timers
 * alike: browsers and edge runtimes, in which nothing waits for the end of a process.
 *
 * Deno is looked up by name, so that this module needs no types of that runtime.
 */
export function keepAlive(timer: Timer, isKept: boolean): boolean {
  if (typeof timer === "object" && timer !== null) {
    const { ref, unref } = timer as Holdable;
    const set = isKept ? ref : unref;
    set?.call(timer);
    return set !== undefined;
  }
  // dnt-shim-ignore
  const { refTimer, unrefTimer } = (Reflect.get(globalThis, "Deno") ?? {}) as Runtime;
  const set = isKept ? refTimer : unrefTimer;
  set?.(timer);
  return set !== undefined;
}

/** Starts a timer that does not keep the process alive. */
export function startBackgroundTimer(run: () => void, delayMs: number): Timer {
  const timer = setTimeout(run, delayMs);
  keepAlive(timer, false);
  return timer;
}
