/** Circuits as operators look for them: those that are open first, by the beginning of their keys. */

import { compareKeys, keyBefore } from "../key.ts";
import type { CircuitListing } from "../listing_types.ts";
import type { CircuitState } from "../types.ts";
import type { DashboardStore } from "./store_like.ts";
import { Refusal } from "./responses.ts";

/** What an operator looks for comes first. */
const ORDER: readonly CircuitState[] = ["open", "half-open", "closed"];

/** How many circuits are counted of those that are not closed. */
const MAX_COUNTED = 1000;

/**
 * How many circuits are read at a time while none of the first ones fits. Requests choose the keys: many
 * can stand between a prefix and the text before it.
 */
const SKIPPED = 1000;

type Lister = Pick<DashboardStore, "list">;

/** Which circuits a page shows. */
export interface PageRequest {
  /** Only circuits in this state. */
  readonly state: CircuitState | undefined;
  /** Only circuits whose keys begin with this text. */
  readonly prefix: string;
  /** The `next` of the page before. */
  readonly after: string | undefined;
  readonly limit: number;
}

/** A page of circuits. */
export interface CircuitPage {
  readonly circuits: CircuitListing[];
  /** Where the next page begins: state and key of the last circuit of this one. */
  readonly next: string | undefined;
}

/** Reads one page. */
export async function readPage(
  store: Lister,
  { state, prefix, after, limit }: PageRequest,
): Promise<CircuitPage> {
  const from = after === undefined ? undefined : parsePlace(after);
  const states = state === undefined ? ORDER : [state];
  const first = from === undefined ? 0 : states.indexOf(from.state);
  if (first === -1) throw new Refusal(400, '"after" does not fit the state.');
  // A circuit that moves meanwhile is in two of the answers.
  const found = new Map<string, { circuit: CircuitListing; state: CircuitState }>();
  for (let i = first; i < states.length && found.size <= limit; i++) {
    const begin = i === first && from !== undefined ? from.key : keyBefore(prefix);
    const wanted = limit + 1 - found.size;
    const page = await readFrom(store, { state: states[i]!, prefix, after: begin, limit: wanted });
    for (const circuit of page) {
      if (!found.has(circuit.storedKey)) {
        found.set(circuit.storedKey, { circuit, state: states[i]! });
      }
    }
  }
  const shown = [...found.values()].slice(0, limit);
  const last = shown.at(-1);
  const hasMore = found.size > limit && last !== undefined;
  return {
    circuits: shown.map(({ circuit }) => circuit),
    next: hasMore ? `${last.state}:${last.circuit.storedKey}` : undefined,
  };
}

/** The circuit with a stored key; `undefined` where the store has nothing to remember of it. */
export async function findCircuit(
  store: Lister,
  storedKey: string,
): Promise<CircuitListing | undefined> {
  const query = { state: undefined, prefix: storedKey, after: keyBefore(storedKey), limit: 1 };
  // The key itself comes before all others that begin with it.
  const [circuit] = await readFrom(store, query);
  return circuit?.storedKey === storedKey ? circuit : undefined;
}

/** How many circuits are open and half-open. */
export interface Counts {
  readonly open: number;
  readonly halfOpen: number;
  /** The numbers stop here. */
  readonly most: number;
}

/** Counts the circuits that are not closed. */
export async function countCircuits(store: Lister): Promise<Counts> {
  const [open, halfOpen] = await Promise.all(
    (["open", "half-open"] as const).map((state) => store.list({ state, limit: MAX_COUNTED })),
  );
  return { open: open!.length, halfOpen: halfOpen!.length, most: MAX_COUNTED };
}

async function readFrom(store: Lister, { state, prefix, after, limit }: PageRequest) {
  const found: CircuitListing[] = [];
  if (prefix.includes("\0")) return found; // no key has it
  for (let place = after, wanted = limit;; wanted = SKIPPED) {
    const page = await store.list({ state, after: place, limit: wanted });
    for (const circuit of page) {
      if (circuit.storedKey.startsWith(prefix)) found.push(circuit);
      else if (compareKeys(circuit.storedKey, prefix) > 0) return found;
      if (found.length === limit) return found;
    }
    if (page.length < wanted) return found;
    place = page.at(-1)!.storedKey;
  }
}

function parsePlace(after: string): { state: CircuitState; key: string } {
  const state = ORDER.find((each) => after.startsWith(`${each}:`));
  if (state === undefined) throw new Refusal(400, '"after" must be the "next" of a page.');
  return { state, key: after.slice(state.length + 1) };
}
