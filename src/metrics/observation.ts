/** Which observers see a store. Stores and metrics find each other here, and nothing public stands between. */

import type { Observed, StoreObserver } from "../ports.ts";

/** What a store knows at a moment. */
export interface StoreGauges {
  /** Whether the database is out, as far as is known. */
  isOut(): boolean;
  /** How old what the cache knows is, in milliseconds; `undefined` where nothing is cached. */
  cacheAgeMs(): number | undefined;
  /** How many acknowledged successes have yet to be counted. */
  pendingSuccesses(): number;
  /** How many refusals have yet to be counted. */
  pendingRefusals(): number;
}

/** A store in memory: no database can be out, and nothing waits. */
export const NOTHING_WAITS: StoreGauges = {
  isOut: () => false,
  cacheAgeMs: () => undefined,
  pendingSuccesses: () => 0,
  pendingRefusals: () => 0,
};

/**
 * The property by which a store has its observation. It is registered, so that the modules of two builds of
 * the package, such as ES modules and CommonJS, find each other's stores.
 */
const OBSERVATION = Symbol.for("@circuit-breaker/postgres observation 1");

/** The observers of one store. */
export class Observation implements Observed {
  readonly gauges: StoreGauges;
  /** All observers as one: `undefined` without any, so that a call costs one comparison. */
  observer: StoreObserver | undefined;
  #observers: readonly StoreObserver[] = [];

  constructor(gauges: StoreGauges) {
    this.gauges = gauges;
  }

  /** Adds an observer. Returns a function that removes it. */
  add(observer: StoreObserver): () => void {
    this.#set([...this.#observers, observer]);
    return () => this.#set(this.#observers.filter((each) => each !== observer));
  }

  #set(observers: readonly StoreObserver[]): void {
    this.#observers = observers;
    this.observer = observers.length < 2 ? observers[0] : togetherOf(observers);
  }
}

/** Makes a store observable. */
export function makeObservable(store: object, observation: Observation): void {
  Object.defineProperty(store, OBSERVATION, { value: observation });
}

/** The observation of a store; `undefined` for anything else. */
export function observationOf(store: unknown): Observation | undefined {
  if (typeof store !== "object" || store === null) return undefined;
  return (store as { [OBSERVATION]?: Observation })[OBSERVATION];
}

function togetherOf(observers: readonly StoreObserver[]): StoreObserver {
  return {
    onAdmitted(key, isProbe) {
      for (const each of observers) each.onAdmitted?.(key, isProbe);
    },
    onRefused(key, state) {
      for (const each of observers) each.onRefused?.(key, state);
    },
    onResult(key, outcome) {
      for (const each of observers) each.onResult?.(key, outcome);
    },
    onChange(change) {
      for (const each of observers) each.onChange?.(change);
    },
    onStatement(event) {
      for (const each of observers) each.onStatement?.(event);
    },
  };
}
