/**
 * A fleet of caches over one real table, in virtual time: a circuit has just closed, all instances know
 * it, and all begin to call at one moment. Every call that fails is recorded at once, and every success
 * later, which is the hardest case for a rate.
 */

import { CircuitCache } from "../../src/cache/circuit_cache.ts";
import { OutageGuard } from "../../src/outage/guard.ts";
import { Outage } from "../../src/outage/outage.ts";
import { CircuitTable } from "../../src/postgres/circuit_table.ts";
import { Coalescer } from "../../src/postgres/coalescer.ts";
import { Dispatcher } from "../../src/postgres/dispatcher.ts";
import { parseTableName } from "../../src/postgres/identifier.ts";
import { TailDispatcher } from "../../src/postgres/tail_dispatcher.ts";
import { Deadlines } from "../../src/time/deadlines.ts";
import type { CircuitRules } from "../../src/options/store_options.ts";
import type { PostgresClient } from "../../src/types.ts";
import { randomOf } from "../support/random.ts";
import { rulesOf } from "../support/rules.ts";
import { DelayedClient, EventQueue } from "./event_queue.ts";

export const BOUND_MS = 1000;

/** The time when a run begins. */
const EPOCH = 1_800_000_000_000;

/** The instances begin to call when each has followed the log for this long. */
const WARM_UP_MS = 3 * BOUND_MS;

/** How long a statement, or its answer, is under way: from half a millisecond to ten. */
const [SHORTEST_WAY_MS, LONGEST_WAY_MS] = [0.5, 10];

/** Deadlines go by the real clock, and a run may take minutes of it. */
const TIMEOUT_MS = 600_000;

const KEY = "a";

/** What the calls of a fleet are like, and what its caches are. */
export interface Scene {
  instances: number;
  /** Calls of one instance in a second, at random times. */
  callsPerSecond: number;
  /** The share of calls that fail. */
  errors: number;
  /** For how many bounds it is watched. */
  bounds: number;
  seed: number;
  /** The bound that the rows of the instances show; by default the real one. */
  shownBoundMs?: number;
  /** Whether the caches know of the rate. By default they do. */
  isRateKnown?: boolean;
}

/** What has become of the circuit. Times count from the first call, in bounds. */
export interface Outcome {
  suspectAfter: number | undefined;
  openAfter: number | undefined;
  /** When the last call was admitted. */
  lastCallAfter: number;
  /** Calls that were admitted, and those of them that failed. */
  calls: number;
  failures: number;
  /** Statements from the first call on. */
  statements: number;
}

/** Lets a fleet call for some bounds. The client has one connection, and its table is migrated. */
export async function simulate(client: PostgresClient, scene: Scene): Promise<Outcome> {
  await client.query("delete from stoma_circuit_breakers");
  await client.query("delete from stoma_circuit_breakers_changes");
  await client.query("delete from stoma_circuit_breakers_instances");
  const random = randomOf(scene.seed);
  const events = new EventQueue(EPOCH);
  const between = (from: number, to: number) => from + (to - from) * random();
  const delayed = new DelayedClient(
    client,
    events,
    () => between(SHORTEST_WAY_MS, LONGEST_WAY_MS),
  );
  await closeCircuit(client, EPOCH);
  const beginsAt = EPOCH + WARM_UP_MS;
  const endsAt = beginsAt + scene.bounds * BOUND_MS;
  const fleet = new Fleet(delayed, events, scene, random);
  for (let i = 0; i < scene.instances; i++) fleet.open(between(0, BOUND_MS), beginsAt, endsAt);
  await events.runUntil(beginsAt);
  const sentBefore = delayed.sent;
  await events.runUntil(endsAt);
  const statements = delayed.sent - sentBefore;
  await fleet.end();
  const inBounds = (time: number) => (time - beginsAt) / BOUND_MS;
  const { rows } = await client.query(
    "select cause, at from stoma_circuit_breakers_changes where at >= $1 order by version",
    [`${beginsAt}`],
  );
  const firstBy = (cause: string) => {
    const row = rows.find((row) => row.cause === cause);
    return row === undefined ? undefined : inBounds(Number(row.at));
  };
  return {
    suspectAfter: firstBy("suspect"),
    openAfter: firstBy("trip"),
    lastCallAfter: inBounds(fleet.lastCallAt),
    calls: fleet.calls,
    failures: fleet.failures,
    statements,
  };
}

/** Rules of the fleet: it opens by the rate alone. */
const RULES = rulesOf({ failureRateThreshold: 0.5 });

/** The circuit opens, and a probe closes it. */
async function closeCircuit(client: PostgresClient, now: number): Promise<void> {
  const rules = rulesOf({ resetTimeoutMs: 1, halfOpenMax: 1 });
  const table = openTable(client, rules, () => now);
  const demand = { sentAt: performance.now(), isAwaited: true, refusal: undefined };
  now -= 10;
  await table.transition([KEY], "open", demand);
  now += 5;
  const claimed = await table.claim([{ key: KEY, wanted: 1, patienceMs: 0 }], demand);
  const closed = await table.transition([KEY], "closed", demand);
  if (claimed[0]!.granted !== 1 || closed[0]!.state !== "closed") {
    throw new Error(`the circuit did not close: ${JSON.stringify([claimed, closed])}`);
  }
}

function openTable(client: PostgresClient, rules: CircuitRules, now: () => number): CircuitTable {
  return new CircuitTable(client, parseTableName("simulate", "stoma_circuit_breakers"), {
    now,
    rules,
    durability: "relaxed",
    actor: "fleet",
    onLogged: () => {},
    runAlone: () => undefined,
    wasHeldUpSince: () => false,
    onTime: () => {},
  });
}

/** The instances, and what their calls have met. */
class Fleet {
  lastCallAt = -Infinity;
  calls = 0;
  failures = 0;
  readonly #client: DelayedClient;
  readonly #events: EventQueue;
  readonly #scene: Scene;
  readonly #random: () => number;
  readonly #deadlines = new Deadlines(TIMEOUT_MS);
  readonly #caches: CircuitCache[] = [];
  readonly #errors: unknown[] = [];

  constructor(client: DelayedClient, events: EventQueue, scene: Scene, random: () => number) {
    this.#client = client;
    this.#events = events;
    this.#scene = scene;
    this.#random = random;
  }

  /** Opens an instance. It reads the circuit after a while, and calls between two moments. */
  open(delayMs: number, beginsAt: number, endsAt: number): void {
    const cache = this.#openCache();
    const meanMs = 1000 / this.#scene.callsPerSecond;
    const goOn = () => {
      const pauseMs = -Math.log(1 - this.#random()) * meanMs;
      if (this.#events.now() + pauseMs > endsAt) return;
      this.#events.start(() => {
        goOn();
        void this.#call(cache).catch((error) => this.#errors.push(error));
      }, pauseMs);
    };
    const read = () => void cache.read(this.#deadlines.begin(), KEY);
    for (let at = delayMs; at < WARM_UP_MS; at += BOUND_MS / 2) this.#events.start(read, at);
    this.#events.start(goOn, beginsAt - this.#events.now());
  }

  /** Waits for what is in flight, and throws what has failed. */
  async end(): Promise<void> {
    const call = this.#deadlines.begin();
    let ending = this.#caches.length;
    for (const cache of this.#caches) {
      cache.end(call).catch((error) => this.#errors.push(error)).finally(() => ending--);
    }
    while (ending > 0) await this.#events.runUntil(this.#events.now() + LONGEST_WAY_MS);
    this.#deadlines.stop();
    if (this.#errors.length > 0) throw new AggregateError(this.#errors, "the fleet met errors");
  }

  /** One request: it is sent where the circuit is closed, and its result is recorded. */
  async #call(cache: CircuitCache): Promise<void> {
    const { circuit } = await cache.read(this.#deadlines.begin(), KEY);
    if (circuit?.state !== "closed") return;
    this.calls++;
    this.lastCallAt = this.#events.now();
    const call = this.#deadlines.begin();
    if (this.#random() < this.#scene.errors) {
      this.failures++;
      await cache.recordFailure(call, KEY);
    } else {
      await cache.recordSuccess(call, KEY);
    }
  }

  #openCache(): CircuitCache {
    const deadlines = this.#deadlines;
    const { shownBoundMs = BOUND_MS, isRateKnown = true } = this.#scene;
    const now = () => this.#events.now();
    const table = openTable(this.#client, RULES, now);
    const single = { deadlines, onStatement: () => {} };
    const outage = new Outage({
      check: () => Promise.resolve(),
      wasHeldUpSince: () => false,
      wasLost: () => false,
      onChange: (change) => this.#errors.push(change),
    });
    const origin = new OutageGuard(
      new Dispatcher(table, {
        ...single,
        trimmer: undefined,
        gather: (send, options) => new Coalescer(send, { ...options, ...single }),
      }),
      new TailDispatcher(table, single, () => {}),
      outage,
      undefined,
    );
    const id = `instance ${this.#caches.length}`;
    const cache = new CircuitCache(origin, {
      instance: { id, label: id, boundMs: shownBoundMs },
      maxStalenessMs: BOUND_MS,
      countWithinMs: 10_000,
      hasFailureWindow: false,
      rateWindowMs: isRateKnown ? RULES.trip.rates!.windowMs : undefined,
      deadlines,
      now,
      onError: (error) => this.#errors.push(error),
      // No announcement comes: the caches hear of suspicion by looking.
      feed: { canListen: false, subscribe: () => () => {} },
      timers: this.#events,
      random: this.#random,
    });
    this.#caches.push(cache);
    return cache;
  }
}
