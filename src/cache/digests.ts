import { keyDigest } from "../key.ts";

/** How many digests are computed at once: it takes a thread each, which others need as well. */
const AT_ONCE = 16;

/**
 * The circuits in use by the digests of their keys, which is what notifications carry. Digests take a
 * moment to compute: that is done in the background, a few at a time, and never for a circuit that
 * has gone out of use before its turn, so that a flood of circuits costs no more than time allows.
 */
export class Digests {
  /** The digest of each key in use, once it is known. */
  readonly #digests = new Map<string, string | undefined>();
  readonly #keys = new Map<string, string>();
  /** Keys whose digest is not known yet, those that have waited longest in front. */
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
    // Without one, its changes are seen as those of a circuit that nobody announces.
    const digest = await keyDigest(key).catch(() => undefined);
    // It may have gone meanwhile, and come back.
    if (!this.#waiting.delete(key) || digest === undefined) return;
    this.#digests.set(key, digest);
    this.#keys.set(digest, key);
  }
}
