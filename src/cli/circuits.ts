/** Circuits by what an operator types: a key, a key as it was printed, or the beginning of keys. */

import type { CircuitListing } from "../listing_types.ts";
import { compareKeys, keyBefore, storedKeyOf } from "../key.ts";
import type { PostgresCircuitBreakerStore } from "../store.ts";
import type { CircuitState } from "../types.ts";
import { ELLIPSIS } from "./text.ts";
import { UsageError } from "./usage_error.ts";

/** Keys in the form in which the table holds those that PostgreSQL cannot hold. */
const STORED_FORM = /~(?:sha256:[0-9a-f]{64}|observed)$/;

/** How many circuits are read at a time. */
const PAGE = 1000;

/** The store's method that this module needs. */
export type Lister = Pick<PostgresCircuitBreakerStore, "list">;

/** A circuit that an operator means. */
export interface FoundCircuit {
  /** What the methods of the store take. */
  readonly key: { readonly storedKey: string };
  /** What the table has of it; `undefined` where it has nothing to remember. */
  readonly listing: CircuitListing | undefined;
}

/**
 * Finds the circuit of a key, of a key as `list` prints it, or of one whose middle was left out when it was
 * printed.
 *
 * @throws {UsageError} If the key is a shortened one that fits several circuits.
 */
export async function findCircuit(store: Lister, typed: string): Promise<FoundCircuit> {
  // A key of the original store can be longer than ours are, so each is first looked for as it is.
  const exact = isStorable(typed) ? await listingOf(store, typed) : undefined;
  if (exact !== undefined) return found(exact);
  if (typed.includes(ELLIPSIS)) {
    const fitting = await fittingCircuits(store, typed);
    if (fitting.length === 1) return found(fitting[0]!);
    if (fitting.length > 1) {
      throw new UsageError(
        `Cannot find circuit: several circuits fit the shortened key, write the whole key: list --json ` +
          "has it",
      );
    }
  }
  if (STORED_FORM.test(typed)) {
    return { key: { storedKey: typed }, listing: undefined };
  }
  const storedKey = await storedKeyOf(typed);
  const listing = storedKey === typed ? undefined : await listingOf(store, storedKey);
  return listing === undefined ? { key: { storedKey }, listing } : found(listing);
}

function found(listing: CircuitListing): FoundCircuit {
  return { key: { storedKey: listing.storedKey }, listing };
}

/** What the table has of a stored key. */
export async function listingOf(
  store: Lister,
  storedKey: string,
): Promise<CircuitListing | undefined> {
  for await (const listing of circuitsFrom(store, { prefix: storedKey, limit: 1 })) {
    // The key itself comes before all others that begin with it.
    return listing.storedKey === storedKey ? listing : undefined;
  }
}

async function fittingCircuits(store: Lister, typed: string): Promise<CircuitListing[]> {
  const [prefix = "", ...rest] = typed.split(ELLIPSIS);
  const ending = rest.join(ELLIPSIS);
  const fitting: CircuitListing[] = [];
  for await (const listing of circuitsFrom(store, { prefix })) {
    const { storedKey } = listing;
    if (storedKey.endsWith(ending) && storedKey.length >= prefix.length + ending.length) {
      fitting.push(listing);
    }
    if (fitting.length > 1) break;
  }
  return fitting;
}

/** The circuits whose keys begin with a text, in the order of their keys, read page by page. */
export async function* circuitsFrom(
  store: Lister,
  { prefix = "", state, limit = Infinity }: {
    prefix?: string | undefined;
    state?: CircuitState | undefined;
    /** How many the caller wants at most. */
    limit?: number;
  },
): AsyncGenerator<CircuitListing> {
  let after = keyBefore(prefix);
  for (let count = 0;;) {
    const wanted = Math.min(PAGE, limit - count);
    const page = await store.list({ after, state, limit: wanted });
    for (const listing of page) {
      if (listing.storedKey.startsWith(prefix)) {
        yield listing;
        if (++count >= limit) return;
      } else if (compareKeys(listing.storedKey, prefix) > 0) return;
    }
    if (page.length < wanted) return;
    after = page.at(-1)!.storedKey;
  }
}

function isStorable(text: string): boolean {
  return !text.includes("\0") && !/\p{Surrogate}/u.test(text);
}
