import type { Round } from "../rules/circuit.ts";
import { keepLast } from "../keep_last.ts";

interface Claim extends Round {
  /** When nobody waits for its result any more, in milliseconds of the caller's clock. */
  forgottenAt: number;
}

/** A late result is recognised for so many leases; one that is later still is nobody's. */
const REMEMBERED_LEASES = 10;

/** Bounds memory against probes whose results never come. */
const MAX_KEYS = 10_000;

/**
 * The probes that this instance was admitted, so that their results can be fenced: `transition`
 * does not say which request it speaks for.
 *
 * A result belongs to the youngest claim: a probe that is given up ends after its successor, if it
 * ever ends. Whoever outlived its lease then finds only its own, old round, which applies nowhere.
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
    // Moves the key to the end: the first in the map is the one that probed longest ago.
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
