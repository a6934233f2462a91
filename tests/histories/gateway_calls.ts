/** What the callers of a gateway call, and how often. */

import type {
  CircuitBreakerSnapshot,
  CircuitState,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { clock, FAILURE_THRESHOLD, type KeyedCircuit } from "./messages.ts";
import { KEY_GROUPS, type Operation } from "./recorded.ts";

/** How many circuits there are of each group. Those of `fleeting` are used once. */
const CIRCUITS = { counted: 8, moved: 12, probed: 6, foreign: 4 } as const;
type Group = keyof typeof CIRCUITS;

const STATES: readonly CircuitState[] = ["closed", "open", "half-open"];

/** For how long all callers have a favourite among the circuits of a group, and how often they choose it. */
const FAVOURITE_MS = 1500;
const FAVOURITE_SHARE = 0.6;

/** How often, and in which pauses, a caller asks for a circuit again: so that caches are in use. */
const AGAIN_TIMES = 12;
const AGAIN_MS = 25;

/** How long a probe takes at most: often less than its lease. */
const PROBE_MS = 60;

/** What a caller calls with. */
export interface Caller {
  /** Unique in the run. */
  name: string;
  store: PostgresCircuitBreakerStore;
  /** Whether its store admits probes. */
  isProbing: boolean;
  random: () => number;
  pause(ms: number): Promise<void>;
  /** Makes a call and records it. Returns `undefined` where it failed. */
  record(
    operation: Operation,
    key: string,
    call: () => Promise<KeyedCircuit[]>,
  ): Promise<KeyedCircuit[] | undefined>;
}

/** The names of a group's circuits. */
export function keysOf(group: Group): string[] {
  return Array.from({ length: CIRCUITS[group] }, (_, each) => `${KEY_GROUPS[group]}${each}`);
}

/** Calls with their weights. */
export const CALLS:
  readonly (readonly [weight: number, act: (caller: Caller) => Promise<unknown>])[] = [
    [24, (caller) => count(caller, one(caller, "counted"))],
    [8, (caller) => count(caller, one(caller, "moved"))],
    [3, (caller) => count(caller, one(caller, "foreign"))],
    [2, (caller) => count(caller, `${KEY_GROUPS.fleeting}${caller.name}.${caller.random()}`)],
    [16, (caller) => admit(caller, one(caller, "moved"))],
    [12, (caller) => request(caller)],
    [8, (caller) => askAgain(caller, pick(caller, ["moved", "probed"]))],
    [6, (caller) => admit(caller, one(caller, "foreign"))],
    [6, (caller) => admit(caller, one(caller, "counted"))],
    [10, (caller) => move(caller, one(caller, "moved"), pick(caller, STATES))],
    [2, (caller) => move(caller, one(caller, "foreign"), pick(caller, STATES))],
    [4, (caller) => force(caller, one(caller, "moved"))],
    [3, (caller) => release(caller, one(caller, "moved"))],
    [3, (caller) => reset(caller, one(caller, "moved"))],
    [5, (caller) => peek(caller)],
    [2, (caller) => list(caller)],
    [1, (caller) => prune(caller)],
    [1, (caller) => history(caller)],
  ];

/** A snapshot with its key. */
function keyed(key: string, snapshot: CircuitBreakerSnapshot): KeyedCircuit {
  const { state, lastStateChange: since, failureCount, successCount } = snapshot;
  return { key, state, since, failures: failureCount, successes: successCount };
}

function pick<Value>({ random }: Caller, values: readonly Value[]): Value {
  return values[Math.floor(random() * values.length)]!;
}

function one(caller: Caller, group: Group): string {
  const keys = keysOf(group);
  if (caller.random() >= FAVOURITE_SHARE) return pick(caller, keys);
  return keys[Math.floor(clock() / FAVOURITE_MS) % keys.length]!;
}

async function count(caller: Caller, key: string): Promise<void> {
  const { store, random, record } = caller;
  if (random() < 0.5) {
    await record("recordFailure", key, async () => [keyed(key, await store.recordFailure(key))]);
  } else {
    await record("recordSuccess", key, async () => [keyed(key, await store.recordSuccess(key))]);
  }
}

function getState({ store, record }: Caller, key: string): Promise<KeyedCircuit[] | undefined> {
  return record("getState", key, async () => [keyed(key, await store.getState(key))]);
}

/** Asks for a circuit, and reports on most probes that it gets. */
async function admit(caller: Caller, key: string): Promise<void> {
  const circuits = await getState(caller, key);
  if (circuits?.[0]?.state !== "half-open" || !caller.isProbing) return;
  await caller.pause(caller.random() * PROBE_MS);
  if (caller.random() < 0.8) await move(caller, key, pick(caller, ["closed", "open"]));
}

/** Asks for one circuit again and again. */
async function askAgain(caller: Caller, group: Group): Promise<void> {
  const key = one(caller, group);
  for (let time = 0; time < AGAIN_TIMES; time++) {
    await admit(caller, key);
    await caller.pause(caller.random() * AGAIN_MS);
  }
}

/** What the policy of a gateway does for a request. */
async function request(caller: Caller): Promise<void> {
  if (!caller.isProbing) return;
  const key = one(caller, "probed");
  const state = (await getState(caller, key))?.[0]?.state;
  if (state === "half-open") {
    await caller.pause(caller.random() * PROBE_MS);
    if (caller.random() < 0.9) await move(caller, key, pick(caller, ["closed", "open"]));
  } else if (state === "closed") {
    const { store, record } = caller;
    const counted = await record(
      "recordFailure",
      key,
      async () => [keyed(key, await store.recordFailure(key))],
    );
    if ((counted?.[0]?.failures ?? 0) >= FAILURE_THRESHOLD) await move(caller, key, "open");
  }
}

async function move({ store, record }: Caller, key: string, to: CircuitState): Promise<void> {
  await record("transition", key, async () => [keyed(key, await store.transition(key, to))]);
}

async function force({ store, random, record }: Caller, key: string): Promise<void> {
  const options = random() < 0.7 ? { forMs: 50 + Math.round(350 * random()) } : {};
  const isOpen = random() < 0.5;
  await record("force", key, async () => [
    keyed(key, await (isOpen ? store.forceOpen(key, options) : store.forceClosed(key, options))),
  ]);
}

async function release({ store, record }: Caller, key: string): Promise<void> {
  await record("release", key, async () => [keyed(key, await store.release(key))]);
}

async function reset({ store, record }: Caller, key: string): Promise<void> {
  await record("reset", key, async () => {
    await store.reset(key);
    return [];
  });
}

async function peek(caller: Caller): Promise<void> {
  const keys = [one(caller, "moved"), one(caller, "probed"), one(caller, "foreign")];
  await caller.record("peek", "", async () => {
    const snapshots = await caller.store.peek(keys);
    return snapshots.map((snapshot, at) => keyed(keys[at]!, snapshot));
  });
}

async function list({ store, record }: Caller): Promise<void> {
  const isFleeting = (key: string) => key.startsWith(KEY_GROUPS.fleeting);
  await record("list", "", async () => {
    const circuits = await store.list({ limit: 40 });
    return circuits.filter(({ key }) => !isFleeting(key)).map((each) => keyed(each.key, each));
  });
}

async function prune({ store, record }: Caller): Promise<void> {
  await record("prune", "", async () => {
    await store.prune({ idleMs: 5000, limit: 20 });
    return [];
  });
}

async function history(caller: Caller): Promise<void> {
  const { store, record } = caller;
  await record("history", "", async () => {
    await store.history({ key: one(caller, "moved"), limit: 5 });
    return [];
  });
}
