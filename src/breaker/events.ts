import type { CircuitState } from "../types.ts";
import type { CallEnd } from "./classify.ts";
import type { CallTimeoutError, CircuitOpenError } from "./errors.ts";

/**
 * What a breaker reports, by the name of the event.
 *
 * `open`, `half-open` and `close` are what this breaker has seen itself: by the answers to its own calls.
 * The changes of the whole fleet, each once and in order, come from the store's `watch`.
 */
export interface CircuitBreakerEventMap {
  /** The breaker has met a circuit that is open, and that it last knew in another state. */
  open: CircuitSighting;
  /** The breaker has met a circuit that is half-open, and that it last knew in another state. */
  "half-open": CircuitSighting;
  /** The breaker has met a circuit that is closed, and that it last knew in another state. */
  close: CircuitSighting;
  /** The circuit refused a call. */
  reject: CallRejection;
  /** A call counts as a success. */
  success: CallReport;
  /** A call counts as a failure. */
  failure: CallReport;
  /** A call says nothing about the upstream. */
  ignored: CallReport;
  /** A call took longer than `callTimeoutMs`. A `failure` follows, unless `classify` says otherwise. */
  timeout: CallTimeout;
  /** A fallback stands in for a call. */
  fallback: FallbackUse;
  /** The store failed, or a function that was passed to the breaker. The caller does not see it. */
  error: HiddenFailure;
}

/** The name of an event. */
export type CircuitBreakerEventType = keyof CircuitBreakerEventMap;

/** A circuit in another state than before. */
export interface CircuitSighting {
  /** The key of the circuit. */
  readonly key: string;
  /** The state in which the breaker met it. */
  readonly state: CircuitState;
}

/** A refused call. */
export interface CallRejection {
  /** The key of the circuit. */
  readonly key: string;
  /** What the call is refused with. */
  readonly error: CircuitOpenError;
}

/** A call that has ended. */
export interface CallReport {
  /** The key of the circuit. */
  readonly key: string;
  /** Whether the call was a probe. */
  readonly isProbe: boolean;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /** Its result, or what it threw. */
  readonly end: CallEnd;
}

/** A call that took too long. */
export interface CallTimeout {
  /** The key of the circuit. */
  readonly key: string;
  /** Whether the call was a probe. */
  readonly isProbe: boolean;
  /** What the call is rejected with. */
  readonly error: CallTimeoutError;
}

/** A fallback that stands in for a call. */
export interface FallbackUse {
  /** The key of the circuit. */
  readonly key: string;
  /** What the call would be rejected with. */
  readonly error: unknown;
}

/** A failure that no caller sees. */
export interface HiddenFailure {
  /** The key of the circuit. */
  readonly key: string;
  /** What was thrown. */
  readonly error: unknown;
}

/** An event as a listener gets it: an `Event` of the runtime with a `detail`. */
export interface CircuitBreakerEvent<Type extends CircuitBreakerEventType> {
  /** The name of the event. */
  readonly type: Type;
  /** What has happened. */
  readonly detail: CircuitBreakerEventMap[Type];
}

/** A listener of an event. What it throws or rejects with is reported as an `error`. */
export type CircuitBreakerListener<Type extends CircuitBreakerEventType> =
  | ((event: CircuitBreakerEvent<Type>) => unknown)
  | { handleEvent(event: CircuitBreakerEvent<Type>): unknown };

/** How a listener is added, as with every `EventTarget`. */
export interface ListenerOptions {
  /**
   * Whether it is called once only.
   *
   * @default {false}
   */
  once?: boolean | undefined;
  /**
   * Removes it when it aborts: an `AbortSignal`.
   *
   * @default {undefined}
   */
  signal?: {
    /** Whether it has aborted. */
    readonly aborted: boolean;
    /** Adds a function that is called when it aborts. */
    addEventListener(type: "abort", listener: () => void): void;
    /** Removes it. */
    removeEventListener(type: "abort", listener: () => void): void;
  } | undefined;
}

/** Functions that are called with events. What they throw or reject with is reported as an `error`. */
export interface CircuitBreakerCallbacks {
  /** Called when the breaker meets an open circuit that it last knew in another state. */
  onOpen?: ((sighting: CircuitSighting) => unknown) | undefined;
  /** Called when the breaker meets a half-open circuit that it last knew in another state. */
  onHalfOpen?: ((sighting: CircuitSighting) => unknown) | undefined;
  /** Called when the breaker meets a closed circuit that it last knew in another state. */
  onClose?: ((sighting: CircuitSighting) => unknown) | undefined;
  /** Called when a circuit refuses a call. */
  onReject?: ((rejection: CallRejection) => unknown) | undefined;
  /** Called when a call counts as a success. */
  onSuccess?: ((report: CallReport) => unknown) | undefined;
  /** Called when a call counts as a failure. */
  onFailure?: ((report: CallReport) => unknown) | undefined;
  /** Called when a call says nothing about the upstream. */
  onIgnored?: ((report: CallReport) => unknown) | undefined;
  /** Called when a call takes longer than `callTimeoutMs`. */
  onTimeout?: ((timeout: CallTimeout) => unknown) | undefined;
  /** Called when a fallback stands in for a call. */
  onFallback?: ((use: FallbackUse) => unknown) | undefined;
  /**
   * Called with each failure that no caller sees: of the store, of `classify`, and of the other functions
   * here. The store's own option `onError` reports what is wrong with the database, and less often.
   */
  onError?: ((failure: HiddenFailure) => unknown) | undefined;
}

/** The callback of each event. */
export const CALLBACKS: Readonly<Record<CircuitBreakerEventType, keyof CircuitBreakerCallbacks>> = {
  open: "onOpen",
  "half-open": "onHalfOpen",
  close: "onClose",
  reject: "onReject",
  success: "onSuccess",
  failure: "onFailure",
  ignored: "onIgnored",
  timeout: "onTimeout",
  fallback: "onFallback",
  error: "onError",
};
