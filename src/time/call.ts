/** One call of a public method. Each floor passes it on to the next. */
export interface Call {
  /** When it began, on the clock of `performance.now()`. */
  readonly beganAt: number;
  /** When it must have ended, on the same clock. */
  readonly dueAt: number;
}

/** Begins a call that may take `timeoutMs` milliseconds. */
export function beginCall(timeoutMs: number): Call {
  const beganAt = performance.now();
  return { beganAt, dueAt: beganAt + timeoutMs };
}

/** A call that memory answers: it has no deadline. */
export const IMMEDIATE_CALL: Call = { beganAt: 0, dueAt: Infinity };
