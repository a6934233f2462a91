/** The label of all keys beyond the bound. */
export const OTHER_KEYS = "(other)";

/**
 * Values by key, for a bounded number of keys: those that were seen first. All others share one value, so
 * that a flood of keys costs neither memory nor labels, and counters never fall.
 */
export class ByKey<Value> {
  readonly #values = new Map<string, Value>();
  readonly #maxKeys: number;
  readonly #make: () => Value;
  #lastKey: string | undefined;
  #last: Value | undefined;

  constructor(maxKeys: number, make: () => Value) {
    this.#maxKeys = maxKeys;
    this.#make = make;
  }

  /** The value of a key, which is often the one of the call before. */
  of(key: string): Value {
    if (key === this.#lastKey) return this.#last!;
    this.#lastKey = key;
    return this.#last = this.#values.get(key) ?? this.#add(key);
  }

  entries(): IterableIterator<[key: string, value: Value]> {
    return this.#values.entries();
  }

  #add(key: string): Value {
    const label = this.#values.size < this.#maxKeys || key === OTHER_KEYS ? key : OTHER_KEYS;
    let value = this.#values.get(label);
    if (value === undefined) this.#values.set(label, value = this.#make());
    return value;
  }
}
