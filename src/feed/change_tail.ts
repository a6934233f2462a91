import { type Change, type Histories, type History, REMEMBERED_CHANGES } from "../ports.ts";
import type { CircuitChange, CircuitState } from "../types.ts";
import type { CallerClock } from "../time/caller_clock.ts";

/** A circuit as the tail last saw it. */
interface LastSeen {
  version: number;
  /** When the circuit reached the version, where it remembers that. */
  at: number | undefined;
  state: CircuitState;
}

/**
 * Finds the changes that are new, from what all circuits remember at a moment. Changes from before the
 * tail was made are not new.
 *
 * States of a circuit: unseen, which counts as closed at version 0; seen.
 * - Its row is in a history: to seen. Each step of the version that the tail has not seen is a change,
 *   and so is a forced state that ended by its time.
 * - Its row is a new one, made after a reset: seen -> seen, with a change to closed in between.
 * - Its row is in no history any more: seen -> unseen, with a change to closed.
 */
export class ChangeTail {
  readonly #clock: CallerClock;
  readonly #madeAt: number;
  #lastSeen: Map<string, LastSeen> | undefined;

  constructor(clock: CallerClock) {
    this.#clock = clock;
    this.#madeAt = clock.now();
  }

  /** The changes since the last histories, in their order for each circuit. */
  changesSince({ circuits, readAt }: Histories): CircuitChange[] {
    const lastSeen = this.#lastSeen ?? this.#seenBefore(circuits);
    const next = new Map<string, LastSeen>();
    const found: CircuitChange[] = [];
    for (const circuit of circuits) {
      this.#add(found, circuit, lastSeen.get(circuit.key), readAt);
      next.set(circuit.key, seenIn(circuit));
      lastSeen.delete(circuit.key);
    }
    // The rest has no row any more, or a new row that has not moved.
    for (const [key, { state }] of lastSeen) {
      this.#push(found, key, state, { state: "closed", version: 0, at: readAt });
    }
    this.#lastSeen = next;
    return found;
  }

  /** For the first histories: the circuits as they were when the tail was made. */
  #seenBefore(circuits: readonly History[]): Map<string, LastSeen> {
    const lastSeen = new Map<string, LastSeen>();
    for (const circuit of circuits) {
      const { changes } = circuit;
      // The first look can take a while, and a change meanwhile is new.
      const isNew = ({ at }: Change) => this.#clock.toCaller(at) > this.#madeAt;
      const first = changes.findIndex(isNew);
      if (first === -1) lastSeen.set(circuit.key, seenIn(circuit));
      else if (first > 0) lastSeen.set(circuit.key, changes[first - 1]!);
    }
    return lastSeen;
  }

  #add(
    found: CircuitChange[],
    { key, version, state: shown, since, changes }: History,
    lastSeen: LastSeen | undefined,
    readAt: number,
  ): void {
    let { version: last, state } = lastSeen ?? { version: 0, state: "closed" as CircuitState };
    if (lastSeen !== undefined && !continues(lastSeen, version, changes)) {
      const at = Math.min(changes[0]?.at ?? readAt, readAt);
      this.#push(found, key, state, { state: "closed", version: 0, at });
      [last, state] = [0, "closed"];
    }
    for (const change of changes) {
      if (change.version <= last) continue;
      this.#push(found, key, state, change);
      state = change.state;
    }
    // A change without a step of the version: a forced state has ended by its time.
    this.#push(found, key, state, { state: shown, version, at: since });
  }

  #push(found: CircuitChange[], key: string, from: CircuitState, change: Change): void {
    const { state: to, version, at } = change;
    if (from !== to) found.push({ key, from, to, version, at: this.#clock.toCaller(at) });
  }
}

function seenIn({ version, state, changes }: History): LastSeen {
  const newest = changes[changes.length - 1];
  return { version, state, at: newest?.version === version ? newest.at : undefined };
}

/** Whether a row is the one that was seen last. A new row begins with version 1. */
function continues(lastSeen: LastSeen, version: number, changes: readonly Change[]): boolean {
  if (version < lastSeen.version) return false;
  if (lastSeen.at === undefined) return true;
  const same = changes.find((change) => change.version === lastSeen.version);
  if (same !== undefined) return same.at === lastSeen.at;
  // The row has forgotten that version, if it is full of later ones. Otherwise it never had it.
  return changes.length === REMEMBERED_CHANGES && changes[0]!.version > lastSeen.version;
}
