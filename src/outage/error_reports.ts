import { isCircuitBreakerStoreError } from "../errors.ts";

/** The shortest interval between two reports of one kind, in milliseconds. */
const INTERVAL_MS = 60_000;

/** How many kinds are remembered: more than there are classes and SQLSTATEs in practice. */
const MAX_KINDS = 100;

/**
 * Reports errors that would otherwise be lost: those that the store swallows in the background, and
 * those that a gateway's policy swallows when it lets traffic through. At once, and then at most
 * once a minute for the same kind.
 */
export class ErrorReports {
  readonly #onError: ((error: Error) => void) | undefined;
  /** When a kind was last reported, on the clock of `performance.now()`. */
  readonly #reportedAt = new Map<string, number>();

  constructor(onError: ((error: Error) => void) | undefined) {
    this.#onError = onError;
  }

  /** Reports an error. Never throws. */
  readonly report = (error: unknown): void => {
    const onError = this.#onError;
    if (onError === undefined) return;
    const reported = error instanceof Error ? error : new Error(String(error));
    const kind = kindOf(reported);
    const now = performance.now();
    const last = this.#reportedAt.get(kind);
    if (last !== undefined && now - last < INTERVAL_MS) return;
    if (this.#reportedAt.size >= MAX_KINDS) this.#reportedAt.clear();
    this.#reportedAt.set(kind, now);
    // A listener's mistake must not become the gateway's.
    callListener(() => onError(reported), () => {});
  };

  /** Calls a listener, and reports what it throws or rejects with. */
  run(listener: () => void): void {
    callListener(listener, this.report);
  }
}

/** Calls a listener, which can be an `async` function too: a rejection would end the process. */
function callListener(listener: () => unknown, onFailure: (error: unknown) => void): void {
  try {
    Promise.resolve(listener()).catch(onFailure);
  } catch (error) {
    onFailure(error);
  }
}

/** The class, and what the server answered: the same trouble meets many calls with other words. */
function kindOf(error: Error): string {
  const sqlState = isCircuitBreakerStoreError(error) ? error.sqlState : undefined;
  return `${error.name} ${sqlState ?? ""}`;
}
