/** What a test and the worker say to each other. */

/** How long the worker's breakers let a call take, in milliseconds. */
export const CALL_TIMEOUT_MS = 400;

/** A call of a method of one of the worker's stores. */
export interface StoreCall {
  readonly store: string;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** What became of a call. */
export interface StoreAnswer {
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
  /** How long it took within the worker, in milliseconds. */
  readonly ms: number;
}

/** The beginning or the end of an outage, as a store saw it. */
export interface SeenOutage {
  readonly store: string;
  readonly isOut: boolean;
  readonly at: number;
}

/** What happened in the worker since it began. */
export interface Seen {
  readonly outages: readonly SeenOutage[];
  readonly errors: readonly string[];
  /** The text and the time of each statement of the store with a cache. */
  readonly statements: readonly { readonly text: string; readonly at: number }[];
}
