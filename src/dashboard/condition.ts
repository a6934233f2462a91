/** Whether the store answers. */

import { isCircuitBreakerStoreError } from "../errors.ts";
import { Refusal } from "./responses.ts";

/** What is known of the store. */
export type StoreCondition =
  | { readonly isOut: false }
  | {
    readonly isOut: true;
    /** When the first call failed, in epoch milliseconds. */
    readonly since: number;
    /** What the store says, in words for people. */
    readonly reason: string;
  };

const WELL: StoreCondition = { isOut: false };

/** Learns from every call of the dashboard whether the store answers. */
export class ConditionTracker {
  readonly #onChange: (condition: StoreCondition) => void;
  #current: StoreCondition = WELL;
  #calls = 0;
  /** The number of the latest call whose end is known. An earlier one says nothing new. */
  #latest = 0;

  constructor(onChange: (condition: StoreCondition) => void) {
    this.#onChange = onChange;
  }

  /** What is known now. */
  get current(): StoreCondition {
    return this.#current;
  }

  /** Makes a call of the store, and learns from how it ends. */
  async observe<T>(call: () => Promise<T>): Promise<T> {
    const number = ++this.#calls;
    const beganAt = Date.now();
    try {
      const result = await call();
      if (this.#isNews(number)) this.#change(WELL);
      return result;
    } catch (error) {
      if (!(error instanceof Refusal) && this.#isNews(number)) this.#failed(error, beganAt);
      throw error;
    }
  }

  #isNews(number: number): boolean {
    if (number < this.#latest) return false;
    this.#latest = number;
    return true;
  }

  #failed(error: unknown, beganAt: number): void {
    const since = this.#current.isOut ? this.#current.since : beganAt;
    this.#change({ isOut: true, since, reason: reasonOf(error) });
  }

  #change(next: StoreCondition): void {
    const hasChanged = next.isOut !== this.#current.isOut;
    this.#current = next;
    if (hasChanged) this.#onChange(next);
  }
}

/** Messages of this package hold no secret. Others can. */
export function reasonOf(error: unknown): string {
  return isCircuitBreakerStoreError(error) ? error.message : "The store failed.";
}
