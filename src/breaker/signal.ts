/**
 * An `AbortSignal` of the runtime, also for compilers that know none: then only what a breaker needs.
 */
// dnt-shim-ignore
export type CallSignal = typeof globalThis extends {
  AbortSignal: { prototype: infer Signal extends PlainSignal };
} ? Signal
  : PlainSignal;

/** What a breaker needs of an `AbortSignal`. */
export interface PlainSignal {
  /** Whether it has aborted. */
  readonly aborted: boolean;
  /** Why it has aborted. */
  readonly reason: unknown;
  /** Adds a function that is called when it aborts. */
  addEventListener(type: "abort", listener: () => void): void;
  /** Removes it. */
  removeEventListener(type: "abort", listener: () => void): void;
}
