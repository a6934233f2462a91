/** Bursts of calls that meet in few statements: each on a random set of circuits, old and new ones. */

import type { PostgresCircuitBreakerStore } from "../../mod.ts";

const KEYS = 100;
const MOST_KEYS = 64;

/** How often a key is one that no circuit had before. */
const NEW_SHARE = 0.1;

type Store = PostgresCircuitBreakerStore;

/** What is called for each key of a burst, with its weight. */
const BURSTS: Record<
  string,
  readonly [
    weight: number,
    call: (store: Store, key: string, random: () => number) => Promise<unknown>,
  ]
> = {
  getState: [4, (store, key) => store.getState(key)],
  records: [
    4,
    (store, key, random) => random() < 0.5 ? store.recordSuccess(key) : store.recordFailure(key),
  ],
  recordSuccess: [4, (store, key) => store.recordSuccess(key)],
  open: [2, (store, key) => store.transition(key, "open")],
  close: [2, (store, key) => store.transition(key, "closed")],
  "half-open": [1, (store, key) => store.transition(key, "half-open")],
  probe: [3, async (store, key, random) => {
    const { state } = await store.getState(key);
    if (state === "half-open") await store.transition(key, random() < 0.5 ? "open" : "closed");
  }],
  force: [
    1,
    (store, key, random) =>
      random() < 0.5 ? store.forceOpen(key, { forMs: 30 }) : store.forceClosed(key, { forMs: 30 }),
  ],
  release: [1, (store, key) => store.release(key)],
  reset: [1, (store, key) => store.reset(key)],
  // Some of these are about all circuits, and made once.
  peek: [2, (store, key) => store.peek([key, `${key}!`, "k5", "k50"])],
};

const SINGLE: Record<string, readonly [weight: number, call: (store: Store) => Promise<unknown>]> =
  {
    list: [1, (store) => store.list({ limit: 500 })],
    prune: [1, (store) => store.prune({ idleMs: 0, limit: 50 })],
    history: [1, (store) => store.history({ limit: 200 })],
  };

/** Makes a burst of calls. */
export function burst(
  store: Store,
  random: () => number,
): { name: string; calls: Promise<unknown>[] } {
  const entries = [...Object.entries(BURSTS), ...Object.entries(SINGLE)];
  let at = random() * entries.reduce((sum, [, [weight]]) => sum + weight, 0);
  const [name] = entries.find(([, [weight]]) => (at -= weight) < 0) ?? entries[0]!;
  const single = SINGLE[name];
  if (single !== undefined) return { name, calls: [single[1](store)] };
  const [, call] = BURSTS[name]!;
  const calls = Array.from(
    { length: 1 + Math.floor(random() * MOST_KEYS) },
    () => call(store, keyOf(random), random),
  );
  return { name, calls };
}

/** New keys sort among the old ones. */
function keyOf(random: () => number): string {
  const key = `k${Math.floor(random() * KEYS)}`;
  return random() < NEW_SHARE ? `${key} ${random()}` : key;
}
