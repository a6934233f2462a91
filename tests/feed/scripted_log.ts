/** A log whose answers a test gives, and a clock that moves by hand. */

import type { LogCursor, LoggedChange, LogPage, LogRequest } from "../../src/ports.ts";
import type { Timing } from "../../src/feed/look_schedule.ts";

/** The run that cursors are of, unless a test says otherwise. */
export const RUN = "run.1";

/** The cursor after all versions up to one. */
export function cursorAt(version: number, run: string = RUN): LogCursor {
  return { snapshot: `${version + 1}:${version + 1}:`, version, run };
}

/** A row of the log: a circuit that opened, unless a test says otherwise. */
export function opened(version: number, other: Partial<LoggedChange> = {}): LoggedChange {
  return {
    key: `circuit ${version}`,
    version,
    at: version,
    from: "closed",
    to: "open",
    cause: "trip",
    actor: "gateway",
    role: "app",
    reason: undefined,
    failureCount: 5,
    successCount: 0,
    ...other,
  };
}

/** A log that answers when the test does. */
export class ScriptedLog {
  readonly requests: LogRequest[] = [];
  readonly #answers: PromiseWithResolvers<LogPage>[] = [];

  log(_call: unknown, request: LogRequest): Promise<LogPage> {
    this.requests.push(request);
    this.#answers.push(Promise.withResolvers());
    return this.#answers.at(-1)!.promise;
  }

  get last(): LogRequest {
    return this.requests.at(-1)!;
  }

  /** Answers the last request. */
  async answer(page: Partial<LogPage> = {}): Promise<void> {
    const { changes = [] } = page;
    const version = changes.at(-1)?.version ?? this.last.until?.version ?? this.last.after?.version;
    this.#answers.at(-1)!.resolve({
      changes,
      cursor: cursorAt(version ?? 0),
      isBreak: false,
      readAt: 10_000,
      ...page,
    });
    await settled();
  }

  async fail(error: Error): Promise<void> {
    this.#answers.at(-1)!.reject(error);
    await settled();
  }
}

/** A process whose time passes by hand. */
export class ManualTiming implements Timing {
  #at = 0;
  readonly #timers = new Set<{ at: number; run: () => void; isKept: boolean }>();

  now(): number {
    return this.#at;
  }

  start(run: () => void, delayMs: number, isKept: boolean): () => void {
    const timer = { at: this.#at + delayMs, run, isKept };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers run. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Whether one of them keeps the process alive. */
  get isKept(): boolean {
    return [...this.#timers].some(({ isKept }) => isKept);
  }

  /** Lets time pass, and what was to happen meanwhile happen at its moment. */
  async pass(ms: number): Promise<void> {
    const end = this.#at + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#at = Math.max(this.#at, next.at);
      next.run();
      await settled();
    }
    this.#at = end;
  }
}

/** Resolves once all pending promise jobs have run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
