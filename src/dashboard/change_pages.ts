/** The newest changes of a time, of one circuit or of all. */

import type { CircuitChange } from "../operator_types.ts";
import type { DashboardStore } from "./store_like.ts";

/** How many changes are read at a time. */
const PAGE = 10_000;

/** A log holds 100,000 changes by default. One that is longer is read so far. */
const MAX_PAGES = 20;

/** Changes, the newest last. */
export interface ChangePage {
  readonly changes: CircuitChange[];
  /** How many there are since the time that was asked for, also those that are left out. */
  readonly total: number;
}

/** Reads the newest changes since a time. `history` returns the oldest first, so all are read. */
export async function readChanges(
  store: Pick<DashboardStore, "history">,
  { storedKey, since, limit }: { storedKey: string | undefined; since: number; limit: number },
): Promise<ChangePage> {
  let changes: CircuitChange[] = [];
  let total = 0;
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const read = await store.history({
      since,
      limit: PAGE,
      ...storedKey !== undefined && { key: { storedKey } },
      ...after !== undefined && { after },
    });
    total += read.length;
    changes = [...changes, ...read].slice(-limit);
    after = read.at(-1)?.cursor;
    if (read.length < PAGE) break;
  }
  return { changes, total };
}
