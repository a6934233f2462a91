import type { Round } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";

interface Claim extends Round {
  /** When this instance forgets the claim, in milliseconds of the caller's clock. */
  forgottenAt: number;
}

/** For how many leases a late result is recognised. */
const REMEMBERED_LEASES = 10;

/** Bounds memory against probes whose results never come. */
const MAX_KEYS = 10_000;

/**
 * The probes that this instance was admitted. They fence the results: `transition` does not say
 * which request it reports on.
 *
 * States of a claim: held; taken; forgotten.
 * - `add`: to held.
 * - `take`: held -> taken, the youngest claim of the key. A probe that its caller gave up ends
 *   after its successor, if it ends at all. So a late result gets the claim of an old round, and
 *   the statement that settles it changes nothing.
 * - Ten leases have passed: held -> forgotten.
 */
export class Claims {
  readonly #leaseMs: number;
  readonly #claims = new Map<string, Claim[]>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Remembers an admitted probe. */
  add(key: string, { version, lastStateChange }: Round, now: number): void {
    const claims = this.#current(key, now);
    claims.push({
      version,
      lastStateChange,
      forgottenAt: now + this.#leaseMs * REMEMBERED_LEASES,
    });
    // Moves the key to the end: the first key in the map is the one whose last probe is the oldest.
    keepLast(this.#claims, key, claims, MAX_KEYS);
  }

  /** Takes the claim that a result belongs to, `undefined` where this instance has none. */
  take(key: string, now: number): Round | undefined {
    const claims = this.#current(key, now);
    const claim = claims.pop();
    if (claims.length === 0) this.#claims.delete(key);
    else this.#claims.set(key, claims);
    return claim;
  }

  /** Forgets everything. */
  clear(): void {
    this.#claims.clear();
  }

  #current(key: string, now: number): Claim[] {
    return (this.#claims.get(key) ?? []).filter((claim) => now < claim.forgottenAt);
  }
}
