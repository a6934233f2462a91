import { assert, assertEquals } from "@std/assert";
import { CircuitCache } from "../../src/cache/circuit_cache.ts";
import type { CircuitCacheOptions, Origin } from "../../src/cache/origin.ts";
import type { Circuit } from "../../src/circuit.ts";
import type { Deferred, Refreshed } from "../../src/ports.ts";
import { isStillCounted } from "../../src/rules/counting.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import type { Call } from "../../src/time/call.ts";
import { Deadlines } from "../../src/time/deadlines.ts";
import type { CircuitState } from "../../src/types.ts";
import { randomOf } from "../support/random.ts";

const RULES = { probing: undefined, failureThreshold: undefined, failureWindowMs: undefined };
const KEYS = ["a", "b", "c"];
const STATES: readonly CircuitState[] = ["closed", "open", "half-open"];

function diceOf(seed: number) {
  const random = randomOf(seed);
  const int = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  return { int, pick: <Value>(values: readonly Value[]) => values[int(0, values.length - 1)]! };
}

/** Circuits in a map that count deferred successes as the statement on the table does. */
class StoredCircuits extends MemoryCircuits {
  readonly isOut = false;

  constructor() {
    super(RULES, () => Date.now(), "database");
  }

  async refresh(
    call: Call,
    keys: readonly string[],
    deferred: readonly Deferred[],
  ): Promise<Refreshed[]> {
    for (const { key, successes, version } of deferred) {
      const { circuit } = await this.read(call, key);
      if (circuit !== undefined && !isStillCounted(version, circuit)) continue;
      for (let i = 0; i < successes; i++) await this.recordSuccess(call, key);
    }
    const counted = new Set(deferred.map(({ key }) => key));
    const circuits = await this.readMany(call, [...keys, ...counted]);
    return circuits.map((circuit) => ({ ...circuit, isCounted: counted.has(circuit.key) }));
  }
}

/** A cache with deadlines of its own. It begins a call for each of its methods. */
class CacheInUse {
  readonly cache: CircuitCache;
  readonly #deadlines = new Deadlines(10_000);

  constructor(origin: Origin, options: Partial<CircuitCacheOptions>) {
    this.cache = new CircuitCache(origin, {
      maxStalenessMs: 60_000,
      deadlines: this.#deadlines,
      clock: () => performance.now(),
      now: undefined,
      ...options,
    });
  }

  async read(key: string): Promise<Circuit | undefined> {
    return (await this.cache.read(this.#begin(), key)).circuit;
  }

  async recordSuccess(key: string): Promise<Circuit> {
    return (await this.cache.recordSuccess(this.#begin(), key)).circuit;
  }

  async recordFailure(key: string): Promise<Circuit> {
    return (await this.cache.recordFailure(this.#begin(), key)).circuit;
  }

  async transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return (await this.cache.transition(this.#begin(), key, to)).circuit;
  }

  reset(key: string): Promise<void> {
    return this.cache.reset(this.#begin(), key);
  }

  async end(): Promise<void> {
    await this.cache.end(this.#begin());
    this.#deadlines.stop();
  }

  #begin(): Call {
    return this.#deadlines.begin();
  }
}

/** A circuit as it was from one moment until it changed. */
interface PastCircuit {
  version: number;
  state: CircuitState;
  failures: number;
  until: number;
}

const ABSENT = { version: 0, state: "closed", failures: 0 } as const;

function pastOf(circuit: Circuit | undefined): PastCircuit {
  const { version, state, failures } = circuit === undefined
    ? ABSENT
    : { ...circuit, failures: circuit.failureCount };
  return { version, state, failures, until: Infinity };
}

/** The circuits that instances share, with everything that they ever were. */
class SharedCircuits {
  readonly circuits = new StoredCircuits();
  readonly past = new Map<string, PastCircuit[]>();
  readonly #now: () => number;
  readonly #listeners: ((key: string, version: number) => void)[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor(now: () => number) {
    this.#now = now;
    for (const key of KEYS) this.past.set(key, [pastOf(undefined)]);
  }

  onChange(listener: (key: string, version: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Runs one piece of work at a time, and notes what it made of the circuits. */
  run<Result>(keys: readonly string[], work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(async () => {
      const result = await work();
      for (const key of keys) await this.#note(key);
      return result;
    });
    this.#last = done;
    return done;
  }

  async read(key: string): Promise<Circuit | undefined> {
    return (await this.circuits.readMany(CALL, [key]))[0];
  }

  async #note(key: string): Promise<void> {
    const past = this.past.get(key)!;
    const last = past.at(-1)!;
    const next = pastOf(await this.read(key));
    if (
      last.version === next.version && last.failures === next.failures && last.state === next.state
    ) return;
    last.until = this.#now();
    past.push(next);
    if (last.version !== next.version) {
      for (const notify of this.#listeners) notify(key, next.version);
    }
  }
}

const CALL: Call = { beganAt: 0, dueAt: Infinity };

/** How an instance reaches the shared circuits: each statement is delayed, and some are lost. */
function originOf(
  shared: SharedCircuits,
  pause: () => Promise<void>,
  fails: () => boolean,
): Origin {
  const { circuits } = shared;
  const delayed = async <Result>(
    keys: readonly string[],
    work: () => Promise<Result>,
  ): Promise<Result> => {
    await pause();
    const result = await shared.run(keys, work);
    await pause();
    return result;
  };
  return {
    isOut: false,
    read: (call, key) => delayed([], () => circuits.read(call, key)),
    recordSuccess: (call, key) => delayed([key], () => circuits.recordSuccess(call, key)),
    recordFailure: (call, key) => delayed([key], () => circuits.recordFailure(call, key)),
    transition: (call, key, to) => delayed([key], () => circuits.transition(call, key, to)),
    settle: (call, key, to, round) => delayed([key], () => circuits.settle(call, key, to, round)),
    force: (call, key, force) => delayed([key], () => circuits.force(call, key, force)),
    claim: (call, key) => delayed([key], () => circuits.claim(call, key)),
    reset: (call, key) => delayed([key], () => circuits.reset(call, key)),
    readMany: (call, keys) => circuits.readMany(call, keys),
    list: (call, options) => circuits.list(call, options),
    prune: (call, request) => circuits.prune(call, request),
    async refresh(call, keys, deferred) {
      if (fails() && deferred.length === 0) throw new Error("lost");
      // The rows of some circuits are locked by another instance.
      const free = deferred.filter(() => !fails());
      return await delayed(
        free.map(({ key }) => key),
        () => circuits.refresh(call, keys, free),
      );
    },
  };
}

function assertCurrent(
  shared: SharedCircuits,
  key: string,
  circuit: Circuit | undefined,
  since: number,
): void {
  const { version, state, failures } = pastOf(circuit);
  const past = shared.past.get(key)!;
  const isCurrent = past.some((each) =>
    each.until >= since && each.version === version && each.state === state &&
    each.failures === failures
  );
  assert(
    isCurrent,
    `${key} was answered as version ${version}, ${state}, ${failures} failures, which it has ` +
      `not been since ${since}: ${JSON.stringify(past.slice(-6))}`,
  );
}

for (let seed = 1; seed <= 12; seed++) {
  const bound = seed % 3 === 0 ? 4 : 20;
  Deno.test(`CircuitCache gives no answer older than ${bound} ms, whatever is slow or lost, seed ${seed}`, async () => {
    const { int, pick } = diceOf(seed);
    const now = () => Date.now();
    const shared = new SharedCircuits(now);
    const pause = async () => {
      const ms = int(0, 10) === 0 ? bound * 2 : int(0, 3);
      await new Promise((resolve) => setTimeout(resolve, ms));
    };
    const instances = [0, 1].map(() =>
      new CacheInUse(originOf(shared, pause, () => int(0, 4) === 0), { maxStalenessMs: bound })
    );
    for (const { cache } of instances) {
      // Every other notification is lost.
      shared.onChange((key, version) => int(0, 1) === 0 && cache.changed(key, version));
    }
    const acknowledged = new Map(KEYS.map((key) => [key, 0]));
    let zeroed = false;
    const work = async (instance: CacheInUse) => {
      for (let step = 0; step < 60; step++) {
        const key = pick(KEYS);
        const since = now() - bound - 1;
        switch (int(0, 7)) {
          case 0:
            await instance.recordFailure(key);
            break;
          case 1:
            zeroed = true;
            await instance.transition(key, pick(STATES));
            break;
          case 2:
          case 3:
            await instance.recordSuccess(key);
            acknowledged.set(key, acknowledged.get(key)! + 1);
            break;
          default:
            assertCurrent(shared, key, await instance.read(key), since);
        }
        if (int(0, 3) === 0) await new Promise((resolve) => setTimeout(resolve, int(0, 6)));
      }
    };
    await Promise.all(instances.flatMap((instance) => [work(instance), work(instance)]));
    await Promise.all(instances.map((instance) => instance.end()));
    assert(zeroed);
    for (const key of KEYS) {
      const circuit = await shared.read(key);
      assert((circuit?.successCount ?? 0) <= acknowledged.get(key)!);
    }
  });
}

Deno.test("CircuitCache counts each acknowledged success once, and reads show it at once", async () => {
  const shared = new SharedCircuits(() => Date.now());
  const { int } = diceOf(7);
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, int(0, 4)));
  const instances = [0, 1, 2].map(() =>
    new CacheInUse(originOf(shared, pause, () => int(0, 3) === 0), { maxStalenessMs: 6 })
  );
  await Promise.all(instances.map(async (instance) => {
    let own = 0;
    for (let step = 0; step < 400; step++) {
      const recorded = await instance.recordSuccess("a");
      own++;
      assert(recorded.successCount >= own, `${recorded.successCount} after ${own}`);
      const read = await instance.read("a");
      assert(read!.successCount >= own, `read ${read!.successCount} after ${own}`);
      if (int(0, 9) === 0) await pause();
    }
    await instance.end();
  }));
  assertEquals((await shared.read("a"))!.successCount, 1200);
});

/** An origin whose answers wait until the test lets them pass, one by one. */
function gated(clock: () => number = () => performance.now()) {
  const circuits = new StoredCircuits();
  const waiting: { name: PropertyKey; pass: () => void }[] = [];
  const origin = new Proxy(circuits, {
    get(target, name) {
      if (name === "isOut") return false;
      return async (...args: unknown[]) => {
        // deno-lint-ignore no-explicit-any
        const answer = await (target as any)[name](...args);
        await new Promise<void>((pass) => waiting.push({ name, pass }));
        return answer;
      };
    },
  });
  const instance = new CacheInUse(origin, { clock });
  const settled = () => new Promise<void>((resolve) => setTimeout(resolve));
  return {
    circuits,
    instance,
    settled,
    /** Lets the first answer of a method pass. */
    async pass(method: keyof Origin) {
      await settled();
      const index = waiting.findIndex(({ name }) => name === method);
      assert(index >= 0, `no answer of ${method} waits`);
      waiting.splice(index, 1)[0]!.pass();
      await settled();
    },
    async stored(key: string): Promise<Circuit | undefined> {
      return (await circuits.read(CALL, key)).circuit;
    },
  };
}

Deno.test("CircuitCache keeps its own change when an older answer comes in", async () => {
  const { circuits, instance, pass, settled } = gated();
  const first = instance.read("a");
  await pass("read");
  assertEquals(await first, undefined);
  await circuits.recordFailure(CALL, "a");
  instance.cache.changed("a", 9);
  await settled();
  const moved = instance.transition("a", "open");
  await pass("transition");
  assertEquals((await moved)!.state, "open");
  assertEquals((await instance.read("a"))!.state, "open");
  await pass("refresh");
  assertEquals((await instance.read("a"))!.state, "open");
  await instance.end();
});

Deno.test("CircuitCache counts a pending success before a reset, and resets before a read", async () => {
  const { instance, pass, stored } = gated();
  const first = instance.read("a");
  await pass("read");
  await first;
  await instance.recordSuccess("a");
  instance.cache.missed(); // a refresh that counts the success
  const reset = instance.reset("a");
  await pass("refresh");
  await pass("reset");
  await reset;
  const read = instance.read("a");
  await pass("read");
  assertEquals(await read, undefined);
  assertEquals(await stored("a"), undefined);
  await instance.end();
});

for (const first of ["read", "refresh"] as const) {
  const name =
    `CircuitCache shows a success that is counted during a read, the ${first} answered first`;
  Deno.test(name, async () => {
    let now = 0;
    const { circuits, instance, pass, settled, stored } = gated(() => now);
    await circuits.recordSuccess(CALL, "a");
    const early = instance.read("a");
    await pass("read");
    await early;
    await instance.recordSuccess("a");
    now += 60_001; // too old to be answered
    const read = instance.read("a");
    await settled();
    instance.cache.missed(); // a refresh that counts the success
    await pass(first);
    await pass(first === "read" ? "refresh" : "read");
    assertEquals((await read)!.successCount, 2);
    assertEquals((await stored("a"))!.successCount, 2);
    await instance.end();
  });
}

Deno.test("CircuitCache counts no success from before the circuit half-opened as one of its probes", async () => {
  const { circuits, instance, pass, stored } = gated();
  const first = instance.read("a");
  await pass("read");
  await first;
  await instance.recordSuccess("a");
  await circuits.transition(CALL, "a", "open");
  await circuits.transition(CALL, "a", "half-open");
  instance.cache.missed();
  await pass("refresh");
  assertEquals((await instance.read("a"))!.successCount, 0);
  assertEquals((await stored("a"))!.successCount, 0);
  await instance.end();
});

Deno.test("CircuitCache answers name their source, the database or the cache", async () => {
  const cache = new CircuitCache(new StoredCircuits(), {
    maxStalenessMs: 60_000,
    deadlines: new Deadlines(10_000),
    clock: () => performance.now(),
    now: undefined,
  });
  assertEquals((await cache.read(CALL, "a")).source, "database");
  assertEquals((await cache.read(CALL, "a")).source, "cache");
  assertEquals((await cache.recordSuccess(CALL, "a")).source, "cache");
  assertEquals((await cache.recordFailure(CALL, "a")).source, "database");
  assertEquals((await cache.transition(CALL, "a", "open")).source, "database");
  assertEquals((await cache.recordSuccess(CALL, "a")).source, "database");
  await cache.end(CALL);
});

Deno.test("CircuitCache holds ten thousand circuits, and loses no success of those it drops", async () => {
  const circuits = new StoredCircuits();
  let cached = 0;
  const instance = new CacheInUse(circuits, {
    onKnown: (_, isKnown) => void (cached += isKnown ? 1 : -1),
  });
  for (let index = 0; index < 25_000; index++) {
    await instance.read(`${index}`);
    if (index % 10 === 0) await instance.recordSuccess(`${index}`);
  }
  assert(cached <= 10_000 && cached > 9_000, `${cached} circuits`);
  await instance.end();
  let counted = 0;
  for (let index = 0; index < 25_000; index += 10) {
    counted += (await circuits.readMany(CALL, [`${index}`]))[0]?.successCount ?? 0;
  }
  assertEquals(counted, 2500);
});
