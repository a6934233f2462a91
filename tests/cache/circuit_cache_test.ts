import { assert, assertEquals } from "@std/assert";
import type { Circuit, Deferred, Origin } from "../../src/rules/circuit.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { CircuitCache } from "../../src/cache/circuit_cache.ts";
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

/** A circuit as it was from one moment until it changed. */
interface Era {
  version: number;
  state: CircuitState;
  failures: number;
  until: number;
}

/** The circuits that instances share, with everything they ever were. */
class Shared {
  readonly circuits: MemoryCircuits;
  readonly eras = new Map<string, Era[]>();
  readonly #now: () => number;
  readonly #listeners: ((key: string, version: number) => void)[] = [];

  constructor(now: () => number) {
    this.#now = now;
    this.circuits = new MemoryCircuits(RULES, now);
    for (const key of KEYS) this.eras.set(key, [EMPTY()]);
  }

  onChange(listener: (key: string, version: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Closes an era where something became different. */
  async note(key: string): Promise<void> {
    const circuit = await this.circuits.read(key);
    const eras = this.eras.get(key)!;
    const last = eras.at(-1)!;
    const next = circuit === undefined ? EMPTY() : {
      version: circuit.version,
      state: circuit.state,
      failures: circuit.failureCount,
      until: Infinity,
    };
    if (
      last.version === next.version && last.failures === next.failures && last.state === next.state
    ) return;
    last.until = this.#now();
    eras.push(next);
    if (last.version !== next.version) {
      for (const tell of this.#listeners) tell(key, next.version);
    }
  }
}

function EMPTY(): Era {
  return { version: 0, state: "closed", failures: 0, until: Infinity };
}

/** What an instance reaches the shared circuits by: each way takes its time, and some are lost. */
function originOf(shared: Shared, pause: () => Promise<void>, fails: () => boolean): Origin {
  const { circuits } = shared;
  const travel = async <Answer>(key: string, work: () => Promise<Answer>): Promise<Answer> => {
    await pause();
    const answer = await work();
    await shared.note(key);
    await pause();
    return answer;
  };
  return {
    isOut: false,
    ownAnswers: 0,
    read: (key) => travel(key, () => circuits.read(key)),
    recordSuccess: (key) => travel(key, () => circuits.recordSuccess(key)),
    recordFailure: (key) => travel(key, () => circuits.recordFailure(key)),
    transition: (key, to) => travel(key, () => circuits.transition(key, to)),
    settle: (key, to, round) => travel(key, () => circuits.settle(key, to, round)),
    force: (key, force) => travel(key, () => circuits.force(key, force)),
    claim: (key) => travel(key, () => circuits.claim(key)),
    reset: (key) => travel(key, () => circuits.reset(key)),
    readMany: (keys) => circuits.readMany(keys),
    list: (options) => circuits.list(options),
    prune: (idleMs, limit) => circuits.prune(idleMs, limit),
    check: () => circuits.check(),
    async refresh(keys: readonly string[], deferred: readonly Deferred[]) {
      await pause();
      if (fails() && deferred.length === 0) throw new Error("lost");
      // Somebody else is at some of the circuits.
      const free = deferred.filter(() => !fails());
      const found = await circuits.refresh(keys, free);
      for (const { key } of deferred) await shared.note(key);
      await pause();
      return found;
    },
  };
}

function assertCurrent(shared: Shared, key: string, circuit: Circuit | undefined, since: number) {
  const { version, state, failureCount } = circuit ??
    { version: 0, state: "closed", failureCount: 0 };
  const eras = shared.eras.get(key)!;
  const isCurrent = eras.some((era) =>
    era.until >= since && era.version === version && era.state === state &&
    era.failures === failureCount
  );
  assert(
    isCurrent,
    `${key} was answered as version ${version}, ${state}, ${failureCount} failures, which it has ` +
      `not been since ${since}: ${JSON.stringify(eras.slice(-6))}`,
  );
}

for (let seed = 1; seed <= 12; seed++) {
  const bound = seed % 3 === 0 ? 4 : 20;
  Deno.test(`no answer is older than ${bound} ms, whatever is slow or lost, seed ${seed}`, async () => {
    const { int, pick } = diceOf(seed);
    const now = () => performance.now();
    const shared = new Shared(() => Date.now());
    const erasClock = () => Date.now();
    const pause = async () => {
      const ms = int(0, 10) === 0 ? bound * 2 : int(0, 3);
      await new Promise((resolve) => setTimeout(resolve, ms));
    };
    const replicas = [0, 1].map(() =>
      new CircuitCache(originOf(shared, pause, () => int(0, 4) === 0), {
        maxStalenessMs: bound,
        timeoutMs: 10_000,
        clock: now,
        now: undefined,
      })
    );
    for (const replica of replicas) {
      // Every other notification is lost.
      shared.onChange((key, version) => int(0, 1) === 0 && replica.changed(key, version));
    }
    const acknowledged = new Map(KEYS.map((key) => [key, 0]));
    let zeroed = false;
    const worker = async (replica: CircuitCache) => {
      for (let step = 0; step < 60; step++) {
        const key = pick(KEYS);
        const since = erasClock() - bound - 1;
        switch (int(0, 7)) {
          case 0:
            await replica.recordFailure(key);
            break;
          case 1:
            zeroed = true;
            await replica.transition(key, pick(STATES));
            break;
          case 2:
          case 3:
            await replica.recordSuccess(key);
            acknowledged.set(key, acknowledged.get(key)! + 1);
            break;
          default:
            assertCurrent(shared, key, await replica.read(key), since);
        }
        if (int(0, 3) === 0) await new Promise((resolve) => setTimeout(resolve, int(0, 6)));
      }
    };
    await Promise.all(replicas.flatMap((replica) => [worker(replica), worker(replica)]));
    await Promise.all(replicas.map((replica) => replica.end()));
    assert(zeroed);
    for (const key of KEYS) {
      const circuit = await shared.circuits.read(key);
      assert((circuit?.successCount ?? 0) <= acknowledged.get(key)!);
    }
  });
}

Deno.test("successes that were acknowledged are counted exactly, and read back at once", async () => {
  const shared = new Shared(() => Date.now());
  const { int } = diceOf(7);
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, int(0, 4)));
  const replicas = [0, 1, 2].map(() =>
    new CircuitCache(originOf(shared, pause, () => int(0, 3) === 0), {
      maxStalenessMs: 6,
      timeoutMs: 10_000,
      clock: () => performance.now(),
      now: undefined,
    })
  );
  await Promise.all(replicas.map(async (replica) => {
    let own = 0;
    for (let step = 0; step < 400; step++) {
      const recorded = await replica.recordSuccess("a");
      own++;
      assert(recorded.successCount >= own, `${recorded.successCount} after ${own}`);
      const read = await replica.read("a");
      assert(read!.successCount >= own, `read ${read!.successCount} after ${own}`);
      if (int(0, 9) === 0) await pause();
    }
    await replica.end();
  }));
  assertEquals((await shared.circuits.read("a"))!.successCount, 1200);
});

/** An origin whose ways wait until they are told to go on, one by one. */
function gated(clock: () => number = () => performance.now()) {
  const circuits = new MemoryCircuits(RULES, () => Date.now());
  const waiting: { name: PropertyKey; go: () => void }[] = [];
  const gate = (name: PropertyKey) => new Promise<void>((go) => waiting.push({ name, go }));
  const origin = new Proxy(circuits, {
    get(target, name) {
      if (name === "isOut") return false;
      if (name === "ownAnswers") return 0;
      return async (...args: unknown[]) => {
        // deno-lint-ignore no-explicit-any
        const answer = await (target as any)[name](...args);
        await gate(name);
        return answer;
      };
    },
  }) as unknown as Origin;
  const replica = new CircuitCache(origin, {
    maxStalenessMs: 60_000,
    timeoutMs: 10_000,
    clock,
    now: undefined,
  });
  const tick = () => new Promise<void>((resolve) => setTimeout(resolve));
  return {
    circuits,
    replica,
    /** Lets one that waits go on. */
    async pass(method: keyof Origin) {
      await tick();
      const index = waiting.findIndex(({ name }) => name === method);
      assert(index >= 0, `nothing waits for ${method}`);
      waiting.splice(index, 1)[0]!.go();
      await tick();
    },
  };
}

Deno.test("an answer that was asked for before an own change does not undo it", async () => {
  const { circuits, replica, pass } = gated();
  const first = replica.read("a");
  await pass("read");
  assertEquals(await first, undefined);
  await circuits.recordFailure("a");
  replica.changed("a", 9);
  await new Promise((resolve) => setTimeout(resolve));
  const moved = replica.transition("a", "open");
  await pass("transition");
  assertEquals((await moved)!.state, "open");
  assertEquals((await replica.read("a"))!.state, "open");
  await pass("refresh");
  assertEquals((await replica.read("a"))!.state, "open");
  await replica.end();
});

Deno.test("a success that was on its way comes before a reset, and the reset before what is read", async () => {
  const { circuits, replica, pass } = gated();
  const first = replica.read("a");
  await pass("read");
  await first;
  await replica.recordSuccess("a");
  replica.missed(); // takes the success with it
  const reset = replica.reset("a");
  await pass("refresh");
  await pass("reset");
  await reset;
  const read = replica.read("a");
  await pass("read");
  assertEquals(await read, undefined);
  assertEquals(await circuits.read("a"), undefined);
  await replica.end();
});

for (const first of ["read", "refresh"] as const) {
  const name =
    `a success that leaves while its circuit is read is read back, the ${first} answered first`;
  Deno.test(name, async () => {
    let now = 0;
    const { circuits, replica, pass } = gated(() => now);
    await circuits.recordSuccess("a");
    const early = replica.read("a");
    await pass("read");
    await early;
    await replica.recordSuccess("a");
    now += 60_001; // too old to be answered
    const read = replica.read("a");
    await new Promise((resolve) => setTimeout(resolve));
    replica.missed(); // takes the success with it
    await pass(first);
    await pass(first === "read" ? "refresh" : "read");
    assertEquals((await read)!.successCount, 2);
    assertEquals((await circuits.read("a"))!.successCount, 2);
    await replica.end();
  });
}

Deno.test("successes of a circuit that has half-opened meanwhile do not count as its probes'", async () => {
  const { circuits, replica, pass } = gated();
  const first = replica.read("a");
  await pass("read");
  await first;
  await replica.recordSuccess("a");
  await circuits.transition("a", "open");
  await circuits.transition("a", "half-open");
  replica.missed();
  await pass("refresh");
  assertEquals((await replica.read("a"))!.successCount, 0);
  assertEquals((await circuits.read("a"))!.successCount, 0);
  await replica.end();
});

Deno.test("a replica knows ten thousand circuits, and loses no success of those it lets go", async () => {
  const circuits = new MemoryCircuits(RULES, () => Date.now());
  const origin = Object.assign(Object.create(circuits), { isOut: false, ownAnswers: 0 }) as Origin;
  for (const name of ["read", "refresh", "readMany"] as const) {
    // deno-lint-ignore no-explicit-any
    (origin as any)[name] = (...args: unknown[]) => (circuits as any)[name](...args);
  }
  let known = 0;
  const replica = new CircuitCache(origin, {
    maxStalenessMs: 60_000,
    timeoutMs: 10_000,
    clock: () => performance.now(),
    now: undefined,
    onKnown: (_, isKnown) => void (known += isKnown ? 1 : -1),
  });
  for (let index = 0; index < 25_000; index++) {
    await replica.read(`${index}`);
    if (index % 10 === 0) await replica.recordSuccess(`${index}`);
  }
  assert(known <= 10_000 && known > 9_000, `${known} circuits`);
  await replica.end();
  let counted = 0;
  for (let index = 0; index < 25_000; index += 10) {
    counted += (await circuits.read(`${index}`))?.successCount ?? 0;
  }
  assertEquals(counted, 2500);
});
