import { PostgresCircuitBreakerStore } from "../../mod.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../src/options/store_options.ts";
import type { CircuitsDatabase } from "./circuits.ts";
import { openClient } from "./client.ts";
import { circuitKey } from "./load.ts";
import { recording, type SentStatement } from "./replay.ts";
import { familyOf } from "./statement_family.ts";

/** The statement that a store sends for one call of each key, all made at once. */
export async function captureRecord(
  database: CircuitsDatabase,
  method: "recordSuccess" | "recordFailure",
  keys: number,
  options: PostgresCircuitBreakerStoreOptions = {},
): Promise<SentStatement> {
  return await capture(database, options, async (store, sent) => {
    const all = Array.from({ length: keys }, (_, index) => circuitKey(index));
    // The first calls may be sent apart. Those that wait for them are gathered.
    for (let time = 0; time < 3; time++) {
      await Promise.all(all.map((key) => store[method](key)));
    }
    const found = sent.findLast(({ params }) =>
      all.every((key) => params.some((param) => String(param).includes(key)))
    );
    if (found === undefined) throw new Error(`Cannot measure ${method}: no statement for all keys`);
    return found;
  });
}

/** The statement by which a cache learns what is new. */
export async function captureRefresh(
  database: CircuitsDatabase,
  circuits: number,
): Promise<SentStatement> {
  const maxStalenessMs = 200;
  return await capture(database, { maxStalenessMs }, async (store, sent) => {
    const keys = Array.from({ length: circuits }, (_, index) => circuitKey(index));
    const deadline = performance.now() + 100 * maxStalenessMs;
    for (;;) {
      await Promise.all(keys.map((key) => store.getState(key)));
      // The first one of a cursor may differ from those that follow.
      const tails = sent.filter(({ text, params }) =>
        familyOf(text) === "tail" && params.length > 0
      );
      if (tails.length >= 3) return tails.at(-1)!;
      if (performance.now() > deadline) throw new Error("Cannot measure a refresh: none was sent");
      await pass(maxStalenessMs / 10);
    }
  });
}

/** The statement by which a watch looks for changes, with a cursor that nothing is newer than. */
export async function captureWatch(database: CircuitsDatabase): Promise<SentStatement> {
  const maxStalenessMs = 100;
  return await capture(database, { maxStalenessMs }, async (store, sent) => {
    const end = new AbortController();
    const changes = store.watch({ signal: end.signal });
    const next = changes.next();
    const deadline = performance.now() + 100 * maxStalenessMs;
    while (sent.length < 4) {
      if (performance.now() > deadline) throw new Error("Cannot measure a watch: it does not look");
      await pass(maxStalenessMs / 10);
    }
    end.abort();
    await next;
    return sent.at(-1)!;
  });
}

/** What a page of the history is asked with. */
export type HistoryPage = NonNullable<Parameters<PostgresCircuitBreakerStore["history"]>[0]>;

/** The statement for a page of the history. */
export async function captureHistory(
  database: CircuitsDatabase,
  page: HistoryPage,
): Promise<SentStatement> {
  return await capture(database, {}, async (store, sent) => {
    const changes = await store.history(page);
    if (changes.length === 0) throw new Error("Cannot measure a history: its page is empty");
    return sent.at(-1)!;
  });
}

async function capture(
  database: CircuitsDatabase,
  options: PostgresCircuitBreakerStoreOptions,
  find: (store: PostgresCircuitBreakerStore, sent: SentStatement[]) => Promise<SentStatement>,
): Promise<SentStatement> {
  await using connection = openClient(database.url);
  // Without a listener, so that only the store's own pace decides when it looks.
  const client = recording({ query: connection.client.query });
  await using store = new PostgresCircuitBreakerStore(client, database.table, options);
  return await find(store, client.sent);
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
