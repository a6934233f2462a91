import { StoreTimeoutError } from "./errors.ts";

/**
 * Waits for something at most so many milliseconds. What it becomes later is of no interest, and
 * must not surface as an unhandled rejection.
 */
export async function within<T>(timeoutMs: number, action: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new StoreTimeoutError(`Cannot ${action}: no answer in ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
