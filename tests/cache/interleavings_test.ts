/**
 * Random interleavings: two instances, other programs, answers in any order, lost answers, new
 * beginnings of the log, processes that stand still. What the cache promises is checked at each
 * answer, and the counts at the end.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Circuit } from "../../src/circuit.ts";
import type { Answer } from "../../src/ports.ts";
import type { CircuitState } from "../../src/types.ts";
import type { OpenChange } from "./model_database.ts";
import { EPOCH, type ModelInstance, Scene, settle, type Statement } from "./model_network.ts";

const BOUND = 1000;
const KEYS = ["a", "b"];
const STATES: readonly CircuitState[] = ["closed", "open", "half-open", "closed"];
const WRITES = ["recordSuccess", "recordFailure", "transition", "reset", "force", "addCircuits"];
const RUNS = Number(Deno.env.get("CACHE_RUNS") ?? 400);
const LIMIT_MS = Number(Deno.env.get("CACHE_LIMIT") ?? 20_000);

interface Step {
  action: number;
  pick: number;
}

/** What one instance has seen of one circuit. */
interface Seen {
  version: number;
  zeroedVersion: number;
  /** How many zeroings of its own no row shows. */
  zeroings: number;
  /** By the version of the last zeroing. */
  successes: Map<number, number>;
  written: { version: number; failures: number };
}

/** A success: what it was acknowledged for, and when it ended. */
interface Success {
  instance: ModelInstance;
  key: string;
  zeroedVersion: number | undefined;
  endedAt: number;
  isLost: boolean;
}

class Run {
  readonly scene = new Scene();
  readonly instances = [0, 1].map(() => this.scene.open({ maxStalenessMs: BOUND }));
  readonly #seen = new Map<string, Seen>();
  readonly #successes: Success[] = [];
  /** When a zeroing happened, in steps, by its version. */
  readonly #zeroedAt = new Map<string, number>();
  readonly #open: { key: string; change: OpenChange }[] = [];
  readonly failures: unknown[] = [];
  readonly #running = new Set<Promise<void>>();
  #step = 0;
  /** Whether the log had a break: what is being counted meanwhile may be shown again later only. */
  #hasBroken = false;

  constructor() {
    this.scene.database.onChange = (key) => {
      const zeroed = `${key} ${this.scene.database.read(key)?.zeroedVersion ?? 0}`;
      if (!this.#zeroedAt.has(zeroed)) this.#zeroedAt.set(zeroed, this.#step);
    };
  }

  async step({ action, pick }: Step): Promise<void> {
    this.#step++;
    const { scene, instances } = this;
    const instance = instances[pick % 2]!;
    const key = KEYS[(pick >> 1) % 2]!;
    const rest = pick >> 2;
    const force = { reason: undefined, actor: undefined, forMs: undefined };
    if (action < 22) {
      this.#call(instance, key, "read", () => instance.cache.read(instance.call(), key));
    } else if (action < 38) this.#record(instance, key);
    else if (action < 43) {
      this.#write(instance, key, () => instance.cache.recordFailure(instance.call(), key));
    } else if (action < 46) {
      const to = STATES[rest % 4]!;
      const move = () => instance.cache.transition(instance.call(), key, to);
      if (to === "closed") this.#zero(instance, key, move);
      else this.#write(instance, key, move);
    } else if (action < 47) {
      this.#zero(instance, key, () => instance.cache.reset(instance.call(), key, force));
    } else if (action < 48) {
      const state = ([undefined, "open", "closed"] as const)[rest % 3];
      this.#write(
        instance,
        key,
        () => instance.cache.force(instance.call(), key, { ...force, state }),
      );
    } else if (action < 60) this.#execute(instance, rest);
    else if (action < 82) this.#answer(instance, rest);
    else if (action < 84) this.#lose(instance, rest);
    else if (action < 92) await scene.timers.advance(rest % 400);
    else if (action < 93) scene.timers.stall(rest % 1500);
    else if (action < 94) { for (const each of instances) each.listener?.(); }
    else if (action < 95 && !scene.database.locked.has(key)) {
      const to = STATES[rest % 4]!;
      if (rest % 2 === 0) this.#open.push({ key, change: scene.database.begin(key, to) });
      else scene.database.transition(key, to);
    } else if (action < 96) this.#open.shift()?.change[rest % 4 === 0 ? "rollBack" : "commit"]();
    else if (action < 97) scene.database.isTokenTaken = rest % 2 === 0;
    else if (action < 98) {
      this.#hasBroken = true;
      scene.database.restart();
    } else if (action < 99) scene.database.tooLong = 1;
    else if (!scene.database.locked.has(key)) scene.database.recordFailure(key);
    await settle();
  }

  /** Everything in flight is answered, the instances end, and the counts are compared. */
  async finish(): Promise<void> {
    const { scene } = this;
    for (const { change } of this.#open) change.commit();
    scene.database.isTokenTaken = false;
    for (const instance of this.instances) await instance.drain();
    await Promise.all(this.#running);
    for (const instance of this.instances) {
      const ended = instance.cache.end(instance.call());
      ended.catch(() => {});
      for (let each = 0; each < 20; each++) {
        await instance.drain();
        await scene.timers.advance(40);
      }
      await ended;
      instance.deadlines.stop();
      assertEquals(instance.errors, []);
    }
    for (const key of KEYS) this.#checkCount(key);
    assertEquals(this.failures, []);
  }

  #checkCount(key: string): void {
    const row = this.scene.database.read(key);
    const zeroedVersion = row?.zeroedVersion ?? 0;
    const own = this.#successes.filter((each) => each.key === key);
    const acknowledged = own.filter((each) => each.zeroedVersion === zeroedVersion).length;
    const lost = own.filter(({ isLost }) => isLost).length;
    const count = row?.successCount ?? 0;
    assert(
      count >= acknowledged && count <= acknowledged + lost,
      `${key} counts ${count}, acknowledged ${acknowledged}, lost ${lost}`,
    );
  }

  #record(instance: ModelInstance, key: string): void {
    const success: Success = {
      instance,
      key,
      zeroedVersion: undefined,
      endedAt: Infinity,
      isLost: false,
    };
    this.#successes.push(success);
    this.#call(instance, key, "write", async () => {
      try {
        const answer = await instance.cache.recordSuccess(instance.call(), key);
        success.zeroedVersion = answer.circuit.zeroedVersion;
        return answer;
      } catch (error) {
        success.isLost = true;
        throw error;
      } finally {
        success.endedAt = this.#step;
      }
    });
  }

  /** A zeroing drops what this instance acknowledged before, also where no row shows a zeroing. */
  #zero(instance: ModelInstance, key: string, send: () => Promise<Answer>): void {
    // The instance can know a zeroing that no answer has shown yet, but none that is still to happen.
    const before = factsOf(this.scene.database.read(key)).zeroedVersion;
    this.#write(instance, key, async () => {
      const answer = await send();
      if (factsOf(answer.circuit).zeroedVersion > before) return answer;
      const seen = this.#seenOf(instance, key);
      seen.zeroings++;
      seen.successes.clear();
      for (const success of this.#successes) {
        if (success.instance !== instance || success.key !== key) continue;
        success.isLost = true;
        success.zeroedVersion = undefined;
      }
      return answer;
    });
  }

  #write(instance: ModelInstance, key: string, send: () => Promise<Answer>): void {
    this.#call(instance, key, "write", send);
  }

  #call(
    instance: ModelInstance,
    key: string,
    kind: "read" | "write",
    send: () => Promise<Answer>,
  ): void {
    const seen = this.#seenOf(instance, key);
    const before = { ...seen, successes: new Map(seen.successes), written: { ...seen.written } };
    const beganAt = this.scene.timers.now();
    const run = async () => {
      let answer: Answer;
      try {
        answer = await send();
      } catch {
        return; // lost
      }
      try {
        if (kind === "read") this.#checkRead(key, answer, before, beganAt);
        // The answer to a write can be overtaken by a zeroing.
        const { zeroedVersion } = factsOf(this.scene.database.read(key));
        const isOld = factsOf(answer.circuit).zeroedVersion < zeroedVersion;
        const hasCount = !this.#hasBroken && seen.zeroings === before.zeroings &&
          (kind === "read" || !isOld);
        this.#checkSuccesses(key, answer.circuit, hasCount ? before : undefined);
      } catch (error) {
        this.failures.push(error);
      }
      this.#note(seen, answer.circuit, kind);
    };
    const running = run().finally(() => void this.#running.delete(running));
    this.#running.add(running);
  }

  #seenOf(instance: ModelInstance, key: string): Seen {
    const name = `${this.instances.indexOf(instance)} ${key}`;
    const seen = this.#seen.get(name) ??
      {
        version: 0,
        zeroedVersion: 0,
        zeroings: 0,
        successes: new Map(),
        written: { version: 0, failures: 0 },
      };
    this.#seen.set(name, seen);
    return seen;
  }

  #note(seen: Seen, circuit: Circuit | undefined, kind: "read" | "write"): void {
    const { version, zeroedVersion, successCount, failureCount } = factsOf(circuit);
    seen.version = Math.max(seen.version, version);
    seen.zeroedVersion = Math.max(seen.zeroedVersion, zeroedVersion);
    seen.successes.set(
      zeroedVersion,
      Math.max(seen.successes.get(zeroedVersion) ?? 0, successCount),
    );
    if (kind === "read" || version < seen.written.version) return;
    const failures = version > seen.written.version
      ? failureCount
      : Math.max(seen.written.failures, failureCount);
    seen.written = { version, failures };
  }

  /** Not older than the bound, not older than what was seen, and not without own writes. */
  #checkRead(key: string, { circuit, source }: Answer, before: Seen, beganAt: number): void {
    const { version, state, failureCount, forced } = factsOf(circuit);
    const since = EPOCH + beganAt - (source === "cache" ? BOUND : 0);
    const past = this.scene.database.past.get(key) ?? [];
    const isCurrent = past.length === 0 || past.some((moment) => {
      const facts = factsOf(moment.circuit);
      return moment.until >= since && facts.version === version && facts.state === state &&
        facts.forced?.state === forced?.state;
    });
    const name = `${key} as version ${version}, ${state}, from the ${source}`;
    assert(isCurrent, `${name}, is older than the bound`);
    assert(version >= before.version, `${name}, after version ${before.version}`);
    const { written } = before;
    assert(
      version > written.version || failureCount >= written.failures,
      `${name} with ${failureCount} failures, after a write with ${written.failures}`,
    );
  }

  /** The count that is shown does not fall, and is never more than what can be true. */
  #checkSuccesses(key: string, circuit: Circuit | undefined, before?: Seen): void {
    const { zeroedVersion, successCount } = factsOf(circuit);
    const least = before?.successes.get(zeroedVersion) ?? 0;
    assert(successCount >= least, `${key} shows ${successCount} successes after ${least}`);
    const zeroedAt = zeroedVersion === 0 ? -1 : this.#zeroedAt.get(`${key} ${zeroedVersion}`)!;
    const most = this.#successes.filter((each) => each.key === key && each.endedAt >= zeroedAt);
    assert(successCount <= most.length, `${key} shows ${successCount} successes of ${most.length}`);
  }

  #execute(instance: ModelInstance, pick: number): void {
    const waiting = instance.inFlight.filter((each) => !each.isExecuted && this.#canRun(each));
    waiting[pick % waiting.length]?.execute();
  }

  #answer(instance: ModelInstance, pick: number): void {
    const ready = instance.inFlight.filter((each) => each.isExecuted || this.#canRun(each));
    const statement = ready[pick % ready.length];
    if (statement === undefined) return;
    if (!statement.isExecuted) statement.execute();
    statement.answer();
  }

  #lose(instance: ModelInstance, pick: number): void {
    instance.inFlight[pick % instance.inFlight.length]?.lose();
  }

  #canRun({ method, keys }: Statement): boolean {
    return !WRITES.includes(method) || !keys.some((key) => this.scene.database.locked.has(key));
  }
}

function factsOf(circuit: Circuit | undefined) {
  const { version = 0, zeroedVersion = 0, state = "closed", failureCount = 0, successCount = 0 } =
    circuit ?? {};
  return { version, zeroedVersion, state, failureCount, successCount, forced: circuit?.forced };
}

const steps = fc.array(
  fc.record({ action: fc.nat(99), pick: fc.nat(4000) }),
  { maxLength: 400, size: "max" },
);

Deno.test("CircuitCache keeps its promises in every interleaving", async () => {
  const seed = Number(Deno.env.get("CACHE_SEED") ?? Date.now() % 2 ** 31);
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const run = new Run();
      for (const step of all) {
        await run.step(step);
        assertEquals(run.failures, []);
      }
      await run.finish();
    }),
    { numRuns: RUNS, seed, interruptAfterTimeLimit: LIMIT_MS },
  );
});

Deno.test("CircuitCache: a reset of a blank circuit zeroes what was acknowledged until its answer", async () => {
  const [read, success, reset] = [0, 22, 46].map((action) => ({ action, pick: 0 }));
  const run = new Run();
  const one = run.instances[0]!;
  run.scene.database.addCircuits(["a"]);
  await run.step(read!);
  await one.drain();
  run.scene.database.transition("a", "closed");
  await one.interval(); // the instance knows the zeroing, which no answer has shown
  await run.step(reset!);
  await run.step(success!);
  await one.drain();
  await run.step(read!);
  await run.finish();
});
