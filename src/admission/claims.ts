import type { Round } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";

/** A probe that this instance was admitted, and whose result it owes. */
export interface Claim<Permit> extends Round {
  /** Whether a permit reports it. The policy has none. */
  readonly isOfPermit: boolean;
  /** That permit, once it is made. */
  permit: Permit | undefined;
}

/** Bounds memory against probes whose results never come. */
const MAX_KEYS = 10_000;

/**
 * The probes that this instance was admitted and whose results it owes. They fence the results:
 * `transition` does not say which request it reports on.
 *
 * States of a claim: owed; settled; dropped.
 * - `add`: to owed. Claims of other rounds of the key: owed -> dropped. So the owed claims of a key are
 *   of one round, and it does not matter which of them a result takes.
 * - `take`, `remove`: owed -> settled.
 *
 * A claim has no end by a clock. An instance that owes a claim of an earlier round waits before it
 * claims again: its result, which may come late, must not be taken for that of the next probe, and a
 * probe that hangs must not use up the rounds of the fleet.
 */
export class Claims<Permit> {
  readonly #owed = new Map<string, readonly Claim<Permit>[]>();

  /** Remembers an admitted probe. */
  add(key: string, round: Round, isOfPermit: boolean): Claim<Permit> {
    const { version, lastStateChange } = round;
    const claim = { version, lastStateChange, isOfPermit, permit: undefined };
    const owed = this.#owed.get(key) ?? [];
    // Moves the key to the end: the first key in the map is the one whose last probe is the oldest.
    keepLast(this.#owed, key, [...owed.filter((each) => isSame(each, round)), claim], MAX_KEYS);
    return claim;
  }

  /** Takes the claim that a result of the policy belongs to, the oldest; `undefined` for none. */
  take(key: string): Round | undefined {
    const claim = this.#owed.get(key)?.find(({ isOfPermit }) => !isOfPermit);
    if (claim !== undefined) this.remove(key, claim);
    return claim;
  }

  /** The result of a claim has come. */
  remove(key: string, claim: Claim<Permit>): void {
    const owed = this.#owed.get(key)?.filter((each) => each !== claim) ?? [];
    if (owed.length === 0) this.#owed.delete(key);
    else this.#owed.set(key, owed);
  }

  /** The round of the claims that this instance owes, `undefined` where it owes none. */
  roundOf(key: string): Round | undefined {
    return this.#owed.get(key)?.[0];
  }

  /** The permits whose results are owed. */
  permits(): Permit[] {
    return [...this.#owed.values()].flat().flatMap(({ permit }) => permit ?? []);
  }
}

function isSame(one: Round, other: Round): boolean {
  return one.version === other.version && one.lastStateChange === other.lastStateChange;
}
