/**
 * What Stoma expects of a store, played on its in-memory store and on those of this package: what
 * Stoma's does not pass is no expectation of Stoma's. Its own Postgres store cannot take part: its
 * `transition` names columns that the server finds ambiguous, and fails.
 */

import { assert, assertEquals } from "@std/assert";
import {
  type CircuitBreakerSnapshot,
  type CircuitBreakerStore,
  type CircuitState,
  InMemoryCircuitBreakerStore,
  migrate,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { connect, createDatabase } from "../support/database.ts";
import { loadStoma } from "../support/stoma.ts";

/** Far more than a call takes, far less than a clock in the wrong unit is off. */
const CLOCK_TOLERANCE_MS = 60_000;

const stoma = await loadStoma();

/** What a snapshot must show. */
interface Expected {
  state?: CircuitState;
  failures?: number;
  successes?: number;
  /** Whether `lastFailureTime` is a time of now, or 0. */
  hasFailed?: boolean;
}

interface Situation {
  name: string;
  /** Calls on a circuit that nothing was recorded for; returns the answer to the last one. */
  play(store: CircuitBreakerStore, key: string): Promise<CircuitBreakerSnapshot>;
  expected: Expected;
}

const SITUATIONS: readonly Situation[] = [
  {
    name: "a circuit that no call named before is closed",
    play: (store, key) => store.getState(key),
    expected: {},
  },
  {
    name: "a success is counted",
    play: (store, key) => store.recordSuccess(key),
    expected: { successes: 1 },
  },
  {
    name: "successes add up",
    play: (store, key) => times(2, () => store.recordSuccess(key)),
    expected: { successes: 2 },
  },
  {
    name: "a failure is counted with its time",
    play: (store, key) => store.recordFailure(key),
    expected: { failures: 1, hasFailed: true },
  },
  {
    name: "failures add up",
    play: (store, key) => times(3, () => store.recordFailure(key)),
    expected: { failures: 3, hasFailed: true },
  },
  {
    name: "recording changes no state, whatever was counted",
    async play(store, key) {
      await times(20, () => store.recordFailure(key));
      return await store.recordSuccess(key);
    },
    expected: { failures: 20, successes: 1, hasFailed: true },
  },
  {
    name: "an unknown circuit opens",
    play: (store, key) => store.transition(key, "open"),
    expected: { state: "open" },
  },
  {
    name: "opening keeps both counters",
    async play(store, key) {
      await store.recordSuccess(key);
      await store.recordFailure(key);
      return await store.transition(key, "open");
    },
    expected: { state: "open", failures: 1, successes: 1, hasFailed: true },
  },
  {
    name: "half-opening keeps failures and forgets successes",
    async play(store, key) {
      await times(2, () => store.recordSuccess(key));
      await store.recordFailure(key);
      return await store.transition(key, "half-open");
    },
    expected: { state: "half-open", failures: 1, hasFailed: true },
  },
  {
    name: "closing an open circuit forgets both counters",
    async play(store, key) {
      await store.recordSuccess(key);
      await times(2, () => store.recordFailure(key));
      await store.transition(key, "open");
      return await store.transition(key, "closed");
    },
    expected: { hasFailed: true },
  },
  {
    name: "closing a half-open circuit forgets both counters",
    async play(store, key) {
      await store.recordFailure(key);
      await store.transition(key, "half-open");
      await store.recordSuccess(key);
      return await store.transition(key, "closed");
    },
    expected: { hasFailed: true },
  },
  {
    name: "closing a closed circuit forgets both counters",
    async play(store, key) {
      await times(2, () => store.recordFailure(key));
      await store.recordSuccess(key);
      return await store.transition(key, "closed");
    },
    expected: { hasFailed: true },
  },
  {
    name: "a reset forgets state, counters and times",
    async play(store, key) {
      await store.recordFailure(key);
      await store.recordSuccess(key);
      await store.transition(key, "open");
      await store.reset(key);
      return await store.getState(key);
    },
    expected: {},
  },
  {
    name: "a circuit counts again after a reset",
    async play(store, key) {
      await times(2, () => store.recordFailure(key));
      await store.reset(key);
      return await store.recordFailure(key);
    },
    expected: { failures: 1, hasFailed: true },
  },
  {
    name: "other circuits are not touched",
    async play(store, key) {
      await store.recordFailure(key);
      await store.recordFailure(`${key}-other`);
      await store.transition(`${key}-other`, "open");
      await store.reset(`${key}-other`);
      return await store.getState(key);
    },
    expected: { failures: 1, hasFailed: true },
  },
];

/** Each store by its name, all of them empty. */
async function openStores() {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const client = fromPostgresJs(cleanup.use(connect(database.url)));
  await migrate(client);
  const ours = cleanup.use(new PostgresCircuitBreakerStore(client));
  const memory = cleanup.use(new InMemoryCircuitBreakerStore());
  const kept = cleanup.move();
  const all: Record<string, CircuitBreakerStore> = {
    "Stoma's store": new stoma.InMemoryCircuitBreakerStore(),
    "InMemoryCircuitBreakerStore": memory,
    "PostgresCircuitBreakerStore": ours,
  };
  return { all, ours, memory, client, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function times<Result>(count: number, call: () => Promise<Result>): Promise<Result> {
  for (let i = 1; i < count; i++) await call();
  return await call();
}

function assertShows(snapshot: CircuitBreakerSnapshot, expected: Expected, message: string): void {
  const { state = "closed", failures = 0, successes = 0, hasFailed = false } = expected;
  const { lastFailureTime, lastStateChange, ...rest } = snapshot;
  assertEquals(rest, { state, failureCount: failures, successCount: successes }, message);
  if (hasFailed) assertRecent(lastFailureTime, message);
  else assertEquals(lastFailureTime, 0, message);
  if (state !== "closed") assertRecent(lastStateChange, message);
}

function assertRecent(time: number, message: string): void {
  assert(Math.abs(Date.now() - time) < CLOCK_TOLERANCE_MS, `${message}: ${time} is not now`);
}

for (const { name, play, expected } of SITUATIONS) {
  Deno.test(`a store as Stoma expects it: ${name}`, async () => {
    await using stores = await openStores();
    for (const [owner, store] of Object.entries(stores.all)) {
      assertShows(await play(store, name), expected, owner);
      assertShows(await store.getState(name), expected, `${owner}, read again`);
    }
  });
}

Deno.test("closing a closed circuit does not count as a change of its state", async () => {
  await using stores = await openStores();
  for (const store of [stores.ours, stores.memory]) {
    await store.transition("api", "open");
    const { lastStateChange } = await store.transition("api", "closed");
    await store.recordFailure("api");
    await store.recordSuccess("api");
    const again = await store.transition("api", "closed");
    assertEquals(again.failureCount + again.successCount, 0);
    // Both times come from one clock by a measured offset, of which a millisecond may be noise.
    assert(Math.abs(again.lastStateChange - lastStateChange) <= 1, "lastStateChange moved");
  }
});

Deno.test("destroying a store leaves the circuits to all others", async () => {
  await using stores = await openStores();
  await stores.ours.recordFailure("api");
  await stores.ours.transition("api", "open");
  stores.ours.destroy();
  await using other = new PostgresCircuitBreakerStore(stores.client);
  assertShows(
    await other.getState("api"),
    { state: "open", failures: 1, hasFailed: true },
    "other",
  );
});
