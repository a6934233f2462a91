/**
 * A timer that does not keep the process alive, where the runtime can do that: Node and Bun on the
 * timer itself, Deno by a function of its namespace, which is looked up so that nothing here needs
 * to know that runtime.
 */
export function startBackgroundTimer(
  run: () => void,
  delayMs: number,
): ReturnType<typeof setTimeout> {
  const timer = setTimeout(run, delayMs);
  if (typeof timer === "object") {
    (timer as { unref?: () => void }).unref?.();
  } else {
    const runtime = Reflect.get(globalThis, "Deno") as { unrefTimer?: (id: unknown) => void };
    runtime?.unrefTimer?.(timer);
  }
  return timer;
}
