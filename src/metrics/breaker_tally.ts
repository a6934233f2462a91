import { readable, storedKeyOfName } from "../key.ts";
import { ByKey, OTHER_KEYS } from "./by_key.ts";
import {
  BREAKER_FAMILIES,
  type Distribution,
  type Family,
  type Point,
  type Tally,
} from "./families.ts";

/** What an event of a breaker says. */
export interface BreakerEvent {
  /** The circuit's key: on the event itself, or in its detail. */
  readonly key?: unknown;
  readonly detail?: unknown;
}

/** A `CircuitBreaker`: what metrics need of it. */
export interface BreakerLike {
  addEventListener(type: string, listener: (event: BreakerEvent) => void): void;
  removeEventListener(type: string, listener: (event: BreakerEvent) => void): void;
}

/** Which outcome each event counts as. */
const OUTCOMES: Readonly<Record<string, string>> = {
  success: "success",
  failure: "failure",
  ignored: "ignored",
  timeout: "timeout",
  reject: "rejected",
  fallback: "fallback",
};

/**
 * Adds up the events of a breaker. Its labels are stored keys, as those of a store's metrics: a key of any
 * length and with any characters can be one, and values of both can be compared.
 */
export class BreakerTally implements Tally {
  readonly families: readonly Family[] = Object.values(BREAKER_FAMILIES);
  readonly #keys: ByKey<Record<string, number>>;
  readonly #onRejected: ((key: string) => void) | undefined;

  /** `onRejected` is called at once, with a long key shortened. */
  constructor(maxKeys: number, onRejected?: (key: string) => void) {
    this.#keys = new ByKey(maxKeys, () => ({}));
    this.#onRejected = onRejected;
  }

  /** Listens to a breaker. Returns a function that ends it. */
  listen(breaker: BreakerLike): () => void {
    const listeners = Object.entries(OUTCOMES).map(([type, outcome]) => {
      const listener = (event: BreakerEvent) => this.#onEvent(keyOf(event), outcome);
      breaker.addEventListener(type, listener);
      return [type, listener] as const;
    });
    return () => {
      for (const [type, listener] of listeners) breaker.removeEventListener(type, listener);
    };
  }

  points(): Point[] {
    const { executions } = BREAKER_FAMILIES;
    return Array.from(this.#keys.entries()).flatMap(([key, counts]) =>
      Object.entries(counts).map(([outcome, value]) => ({
        family: executions,
        labels: { key, outcome },
        value,
      }))
    );
  }

  distributions(): Distribution[] {
    return [];
  }

  #onEvent(key: string, outcome: string): void {
    const stored = storedKeyOfName(key);
    const isPlain = typeof stored === "string";
    if (isPlain) this.#count(stored, outcome);
    // Where there is no digest, there is no label of its own.
    else stored.catch(() => OTHER_KEYS).then((label) => this.#count(label, outcome));
    if (outcome === "rejected") this.#onRejected?.(isPlain ? key : readable(key));
  }

  #count(label: string, outcome: string): void {
    const counts = this.#keys.of(label);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
}

function keyOf({ key, detail }: BreakerEvent): string {
  const named = key ?? (detail as { key?: unknown } | null | undefined)?.key;
  return typeof named === "string" ? named : "";
}
