/** Polls a condition until it holds, and fails if it does not hold within a time. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  withinMs: number = 2000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!await holds()) {
    if (performance.now() >= deadline) {
      throw new Error(`it did not come true within ${withinMs} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
