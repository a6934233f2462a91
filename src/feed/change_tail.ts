import { type Change, type Histories, type History, REMEMBERED_CHANGES } from "../rules/circuit.ts";
import type { CircuitChange, CircuitState } from "../types.ts";
import type { CallerClock } from "../time/caller_clock.ts";

/** What was last told of a circuit, or is known of it without having been told. */
interface Known {
  version: number;
  /** When it came to the version, where it remembers that. */
  at: number | undefined;
  state: CircuitState;
}

/**
 * What one watch has told of all circuits: from what they remember at a moment, it knows what is new
 * since the last. Changes from before it was made are not.
 */
export class ChangeTail {
  readonly #clock: CallerClock;
  readonly #madeAt: number;
  #known: Map<string, Known> | undefined;

  constructor(clock: CallerClock) {
    this.#clock = clock;
    this.#madeAt = clock.now();
  }

  /** The changes that are new, in their order for each circuit. */
  tell({ circuits, readAt }: Histories): CircuitChange[] {
    const known = this.#known ?? this.#before(circuits);
    const next = new Map<string, Known>();
    const told: CircuitChange[] = [];
    for (const circuit of circuits) {
      this.#add(told, circuit, known.get(circuit.key), readAt);
      next.set(circuit.key, knownOf(circuit));
      known.delete(circuit.key);
    }
    // What is left has no row any more, or one that has not moved.
    for (const [key, { state }] of known) {
      this.#push(told, key, state, { state: "closed", version: 0, at: readAt });
    }
    this.#known = next;
    return told;
  }

  /** What is known before anything was told: circuits as they were when this was made. */
  #before(circuits: readonly History[]): Map<string, Known> {
    const known = new Map<string, Known>();
    for (const circuit of circuits) {
      const { changes } = circuit;
      // The first look may take a while, and what happens meanwhile is not from before.
      const isNew = ({ at }: Change) => this.#clock.toCaller(at) > this.#madeAt;
      const first = changes.findIndex(isNew);
      if (first === -1) known.set(circuit.key, knownOf(circuit));
      else if (first > 0) known.set(circuit.key, changes[first - 1]!);
    }
    return known;
  }

  #add(
    told: CircuitChange[],
    { key, version, state: seen, since, changes }: History,
    known: Known | undefined,
    readAt: number,
  ): void {
    let { version: last, state } = known ?? { version: 0, state: "closed" as CircuitState };
    if (known !== undefined && !continues(known, version, changes)) {
      const at = Math.min(changes[0]?.at ?? readAt, readAt);
      this.#push(told, key, state, { state: "closed", version: 0, at });
      [last, state] = [0, "closed"];
    }
    for (const change of changes) {
      if (change.version <= last) continue;
      this.#push(told, key, state, change);
      state = change.state;
    }
    // Without a step of the version: what was forced has ended by its time.
    this.#push(told, key, state, { state: seen, version, at: since });
  }

  #push(told: CircuitChange[], key: string, from: CircuitState, change: Change): void {
    const { state: to, version, at } = change;
    if (from !== to) told.push({ key, from, to, version, at: this.#clock.toCaller(at) });
  }
}

function knownOf({ version, state, changes }: History): Known {
  const newest = changes[changes.length - 1];
  return { version, state, at: newest?.version === version ? newest.at : undefined };
}

/** Whether a row is still the one that was known: one that was made anew begins with version 1. */
function continues(known: Known, version: number, changes: readonly Change[]): boolean {
  if (version < known.version) return false;
  if (known.at === undefined) return true;
  const same = changes.find((change) => change.version === known.version);
  if (same !== undefined) return same.at === known.at;
  // So many changes since that it is forgotten; a row that remembers fewer never had it.
  return changes.length === REMEMBERED_CHANGES && changes[0]!.version > known.version;
}
