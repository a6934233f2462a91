import { keepLast } from "../keep_last.ts";
import { CIRCUIT_STATES, type CircuitState } from "../types.ts";
import type { Emitter } from "./emitter.ts";

/** How many circuits that are not closed a breaker remembers: those that it met last. */
const CAPACITY = 10_000;

/**
 * The states in which one breaker has met circuits, to report that they change. It remembers a circuit
 * only while that is not closed, so that memory does not grow with the keys in use.
 */
export class Sightings {
  readonly #emitter: Emitter;
  /** The circuits that are not closed, as they were last met. */
  readonly #states = new Map<string, CircuitState>();

  constructor(emitter: Emitter) {
    this.#emitter = emitter;
  }

  /** How many circuits are remembered. */
  get size(): number {
    return this.#states.size;
  }

  /** The breaker has met a circuit. What is no state, because a store returns none, is no news. */
  meet(key: string, state: unknown): void {
    if (!isState(state)) return;
    const before = this.#states.get(key) ?? "closed";
    if (state === before) return;
    if (state === "closed") this.#states.delete(key);
    else keepLast(this.#states, key, state, CAPACITY);
    const type = state === "closed" ? "close" : state;
    if (this.#emitter.has(type)) this.#emitter.emit(type, { key, state });
  }
}

function isState(value: unknown): value is CircuitState {
  return (CIRCUIT_STATES as readonly unknown[]).includes(value);
}
