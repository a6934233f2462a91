import { keyDigest } from "../key.ts";

/** How many digests are computed at once. Each takes a thread that the process needs elsewhere too. */
const AT_ONCE = 16;

/**
 * The circuits in use by the digests of their keys. A notification carries a digest instead of a key.
 * The digests are computed in the background, a few at a time, so that a flood of new circuits does
 * not block the process.
 *
 * States of a key: unused; waiting; known.
 * - `add`: unused -> waiting.
 * - The digests before it are computed: waiting -> known. The oldest keys come first.
 * - `delete`: to unused. The digest of a key that waited is not computed, or not kept.
 */
export class Digests {
  /** The digest of each key in use, once it is known. */
  readonly #digests = new Map<string, string | undefined>();
  readonly #keys = new Map<string, string>();
  /** Keys whose digest is not known yet, the oldest first. */
  readonly #waiting = new Set<string>();
  #isBusy = false;

  get size(): number {
    return this.#digests.size;
  }

  add(key: string): void {
    if (this.#digests.has(key)) return;
    this.#digests.set(key, undefined);
    this.#waiting.add(key);
    if (!this.#isBusy) void this.#compute();
  }

  delete(key: string): void {
    const digest = this.#digests.get(key);
    if (digest !== undefined) this.#keys.delete(digest);
    this.#digests.delete(key);
    this.#waiting.delete(key);
  }

  /** The key of a digest, `undefined` for a circuit that is not in use. */
  keyOf(digest: string): string | undefined {
    return this.#keys.get(digest);
  }

  async #compute(): Promise<void> {
    this.#isBusy = true;
    while (this.#waiting.size > 0) {
      const learning: Promise<void>[] = [];
      for (const key of this.#waiting) {
        if (learning.push(this.#learn(key)) === AT_ONCE) break;
      }
      await Promise.all(learning);
    }
    this.#isBusy = false;
  }

  async #learn(key: string): Promise<void> {
    // Without a digest, the changes of this circuit are found when it is refreshed.
    const digest = await keyDigest(key).catch(() => undefined);
    // The key may have been deleted meanwhile, and added again.
    if (!this.#waiting.delete(key) || digest === undefined) return;
    this.#digests.set(key, digest);
    this.#keys.set(digest, key);
  }
}
