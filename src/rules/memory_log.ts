import type { LogCursor, LoggedChange, LogPage, LogRequest } from "../ports.ts";

/** How much of the log is kept. */
export interface LogBounds {
  /** For how long, in milliseconds. */
  readonly historyMs: number;
  /** How many changes at most. */
  readonly historyRows: number;
}

/** How many removed changes may stay in the list before it is copied. */
const MAX_REMOVED = 1000;

/** The log of circuits in memory. Versions ascend in it, because its circuits change one after the other. */
export class MemoryLog {
  readonly #bounds: LogBounds;
  readonly #now: () => number;
  #drawn: string | undefined;
  readonly #listeners = new Set<() => void>();
  #changes: LoggedChange[] = [];
  /** Where those that are kept begin. */
  #first = 0;
  /** The last change that is shown, by key, of those that are kept. */
  readonly #lastShown = new Map<string, LoggedChange>();
  #lastVersion = 0;
  #removedVersion = 0;
  #isAnnouncing = false;

  constructor(bounds: LogBounds, now: () => number) {
    this.#bounds = bounds;
    this.#now = now;
  }

  /** Which log this is. Drawn when needed: some runtimes refuse random numbers while a module is loaded. */
  get #run(): string {
    return this.#drawn ??= `memory.${crypto.randomUUID()}`;
  }

  /** Adds a change, which has the highest version so far, and announces it. */
  append(change: LoggedChange): void {
    this.#changes.push(change);
    this.#lastVersion = change.version;
    if (!isHidden(change)) this.#lastShown.set(change.key, change);
    this.#removeOld();
    if (this.#isAnnouncing || this.#listeners.size === 0) return;
    this.#isAnnouncing = true;
    // Later: the circuit has not changed yet.
    queueMicrotask(() => {
      this.#isAnnouncing = false;
      for (const listener of this.#listeners) listener();
    });
  }

  /** The last change of a circuit that is shown, if it is kept. */
  lastShown(key: string): LoggedChange | undefined {
    return this.#lastShown.get(key);
  }

  /** Reads a page, as it is at the moment of the call. */
  read({ after, until, afterVersion, key, since, hasRounds, limit }: LogRequest): LogPage {
    this.#removeOld();
    const cursor = this.#cursor();
    const lowest = Math.max(after?.version ?? 0, afterVersion ?? 0);
    const highest = until?.version ?? Infinity;
    const changes: LoggedChange[] = [];
    for (let i = this.#indexAfter(lowest); i < this.#changes.length; i++) {
      const change = this.#changes[i]!;
      if (changes.length >= limit || change.version > highest) break;
      if (key !== undefined && change.key !== key) continue;
      if (since !== undefined && change.at < since) continue;
      if (change.cause === "round" ? hasRounds : !isHidden(change)) changes.push(change);
    }
    return { changes, cursor, isBreak: this.#isBreak(after), readAt: this.#now() };
  }

  /** Announces changes. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Versions and ids of transactions are the same here. */
  #cursor(): LogCursor {
    const next = this.#lastVersion + 1;
    return { snapshot: `${next}:${next}:`, version: this.#lastVersion, run: this.#run };
  }

  #isBreak(after: LogCursor | undefined): boolean {
    return after !== undefined &&
      (after.run !== this.#run || after.version < this.#removedVersion);
  }

  /** Where the changes with a higher version begin. */
  #indexAfter(version: number): number {
    let [low, high] = [this.#first, this.#changes.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#changes[middle]!.version > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #removeOld(): void {
    const { historyMs, historyRows } = this.#bounds;
    const oldest = this.#now() - historyMs;
    while (this.#first < this.#changes.length) {
      const change = this.#changes[this.#first]!;
      const isInExcess = this.#changes.length - this.#first > historyRows;
      if (!isInExcess && change.at >= oldest) break;
      this.#removedVersion = change.version;
      if (this.#lastShown.get(change.key) === change) this.#lastShown.delete(change.key);
      this.#first++;
    }
    if (this.#first <= MAX_REMOVED || this.#first * 2 < this.#changes.length) return;
    this.#changes = this.#changes.slice(this.#first);
    this.#first = 0;
  }
}

/** Whether a change is no change of a state. Of these only rounds can be asked for. */
function isHidden({ cause }: LoggedChange): boolean {
  return cause === "round" || cause === "suspect" || cause === "zeroed";
}
