/** Answers to requests that a circuit breaker refuses: problem details as in RFC 9457. */

/** What an answer needs of the error that stands for a refused call. */
export interface RefusedCall {
  /** The circuit's key. */
  readonly key: string;
  /** After how many milliseconds it is worth asking again. */
  readonly retryAfterMs: number;
}

/** An answer, for any server. */
export interface ProblemAnswer {
  readonly status: 503 | 504;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How an answer is written. */
export interface ProblemOptions {
  /**
   * Whether the answer shows the circuit's key, as the member `key`. A key can hold the name of an
   * internal host.
   *
   * @default {false}
   */
  exposeKey?: boolean | undefined;
}

/** The answer to a call that was refused. */
export function refusalAnswer(
  { key, retryAfterMs }: RefusedCall,
  options: ProblemOptions = {},
): ProblemAnswer {
  const seconds = retryAfterSeconds(retryAfterMs);
  return {
    status: 503,
    headers: { ...HEADERS, "retry-after": String(seconds) },
    body: JSON.stringify({
      type: "about:blank",
      title: "Service Unavailable",
      status: 503,
      detail: `A circuit breaker refuses this call. Try again in ${seconds} s.`,
      ...options.exposeKey === true ? { key } : {},
    }),
  };
}

/** The answer to a call that took longer than `callTimeoutMs`. */
export function timeoutAnswer(): ProblemAnswer {
  return {
    status: 504,
    headers: HEADERS,
    body: JSON.stringify({
      type: "about:blank",
      title: "Gateway Timeout",
      status: 504,
      detail: "The call took too long.",
    }),
  };
}

const HEADERS: Readonly<Record<string, string>> = {
  "content-type": "application/problem+json",
  "cache-control": "no-store",
};

/** The longest time that every client can read: 68 years. */
const MAX_SECONDS = 2 ** 31 - 1;

/**
 * Whole seconds, rounded up, and at least one: a client that asks too early is refused again. A program can
 * make the error itself, with any number.
 */
function retryAfterSeconds(retryAfterMs: number): number {
  const seconds = Math.ceil(retryAfterMs / 1000);
  return seconds >= 1 ? Math.min(seconds, MAX_SECONDS) : 1;
}
