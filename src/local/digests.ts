import { keyDigest } from "../key.ts";

/** The circuits in use by the digests of their keys, which is what notifications carry. */
export class Digests {
  readonly #keys = new Map<string, string>();
  /** Keys whose digest is wanted; it takes a moment to compute. */
  readonly #wanted = new Set<string>();

  get size(): number {
    return this.#wanted.size;
  }

  async add(key: string): Promise<void> {
    this.#wanted.add(key);
    const digest = await keyDigest(key);
    if (this.#wanted.has(key)) this.#keys.set(digest, key);
  }

  async delete(key: string): Promise<void> {
    this.#wanted.delete(key);
    const digest = await keyDigest(key);
    if (!this.#wanted.has(key)) this.#keys.delete(digest);
  }

  /** The key of a digest, `undefined` for a circuit that is not in use. */
  keyOf(digest: string): string | undefined {
    return this.#keys.get(digest);
  }
}
