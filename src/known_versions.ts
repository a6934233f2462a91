import { keepLast } from "./keep_last.ts";

/** How many circuits are remembered: more than change within a round trip. */
const MAX_KEYS = 1000;

/** By client and table: all stores of a process on the same ones share what they know. */
const shared = new WeakMap<object, Map<string, KnownVersions>>();

/**
 * The versions of circuits that this process has got answers about lately. A watch leaves out what the
 * process knew before the watch began. The time of a change cannot decide that alone: it is in whole
 * milliseconds, and a round trip can be shorter.
 */
export class KnownVersions {
  readonly #versions = new Map<string, number>();

  /** What is known through a client about the circuits of a table. */
  static of(client: object, table: string): KnownVersions {
    let tables = shared.get(client);
    if (tables === undefined) shared.set(client, tables = new Map());
    let known = tables.get(table);
    if (known === undefined) tables.set(table, known = new KnownVersions());
    return known;
  }

  /** Notes the version of a circuit that a call has changed. */
  note(key: string, version: number): void {
    const known = this.#versions.get(key) ?? 0;
    // Answers can come in another order than their statements ran.
    keepLast(this.#versions, key, Math.max(known, version), MAX_KEYS);
  }

  /** What is known at this moment. */
  copy(): ReadonlyMap<string, number> {
    return new Map(this.#versions);
  }
}
