/** Calls a function as if this runtime bound all work to its request. */
export async function inBoundRuntime<Result>(
  run: () => Result | Promise<Result>,
): Promise<Awaited<Result>> {
  Reflect.set(globalThis, "EdgeRuntime", "edge-runtime");
  try {
    return await run();
  } finally {
    Reflect.deleteProperty(globalThis, "EdgeRuntime");
  }
}
