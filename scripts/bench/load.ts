import process from "node:process";
import { Histogram } from "./histogram.ts";

/** The target of a load: the calls that a healthy gateway makes all the time. */
export interface Target {
  getState(key: string): Promise<unknown>;
  recordSuccess(key: string): Promise<unknown>;
}

/** The calls that one operation makes: a read, a record, or both one after the other. */
export type Operation = "read" | "record" | "both";

/** A load that can be sent to another process. */
export interface Load {
  operation: Operation;
  /** How many circuits are in use, each as often as any other. */
  circuits: number;
  /** Every how many rows of a filled table one is in use. */
  spread?: number;
  /** How many operations are in flight at any time. */
  inFlight: number;
}

/** What one round of a load came to. */
export interface Round {
  operations: number;
  seconds: number;
  /** CPU time of the processes that generated the load, in seconds. */
  clientCpu: number;
}

/** One operation; the number is random, from 0 to 2^32 - 1. */
export type Operate = (random: number) => Promise<unknown>;

// A look at the clock costs as much as a good part of a coalesced call.
const SAMPLES_PER_SECOND = 50_000;

const BREATH_MS = 3;

/** The key of a circuit by its number. */
export function circuitKey(index: number): string {
  return `circuit-${index}`;
}

/** How many calls to the store one operation makes. */
export function callsOf(operation: Operation): number {
  return operation === "both" ? 2 : 1;
}

/** Puts a load on a target. */
export function operate(target: Target, { operation, circuits, spread = 1 }: Load): Operate {
  const keys = Array.from({ length: circuits }, (_, index) => circuitKey(index * spread));
  const key = (random: number) => keys[random % circuits]!;
  switch (operation) {
    case "read":
      return (random) => target.getState(key(random));
    case "record":
      return (random) => target.recordSuccess(key(random));
    case "both":
      return async (random) => {
        const chosen = key(random);
        await target.getState(chosen);
        await target.recordSuccess(chosen);
      };
  }
}

/**
 * Lets the event loop run other work every few milliseconds, as in a process that has sockets to serve.
 * Answers from memory alone would keep the event loop busy without end.
 */
export function breathing(operate: Operate, everyMs: number = BREATH_MS): Operate {
  let breath: Promise<void> | undefined;
  let last = performance.now();
  const breathe = () =>
    new Promise<void>((resolve) =>
      setTimeout(() => {
        breath = undefined;
        last = performance.now();
        resolve();
      })
    );
  return async (random) => {
    if (breath === undefined && performance.now() - last >= everyMs) breath = breathe();
    if (breath !== undefined) await breath;
    await operate(random);
  };
}

/** Keeps a fixed number of operations in flight, round after round, each by its own loop. */
export class Generator {
  /** Latencies of all rounds that were measured. */
  readonly latencies: Histogram = new Histogram();
  readonly #operate: Operate;
  readonly #inFlight: number;
  #stride = 1;
  #seed = 1;

  constructor(operate: Operate, inFlight: number) {
    this.#operate = operate;
    this.#inFlight = inFlight;
  }

  /** Runs unmeasured, and finds out how often it has to look at the clock. */
  async warmUp(seconds: number): Promise<Round> {
    const round = await this.#run(seconds, new Histogram());
    const rate = round.operations / round.seconds;
    this.#stride = Math.max(1, Math.floor(rate / SAMPLES_PER_SECOND));
    return round;
  }

  /** Runs for some seconds, then until every operation in flight has ended. */
  round(seconds: number): Promise<Round> {
    return this.#run(seconds, this.latencies);
  }

  async #run(seconds: number, latencies: Histogram): Promise<Round> {
    const operate = this.#operate;
    const stride = this.#stride;
    let operations = 0;
    let stopped = false;
    const loop = async (seed: number, phase: number) => {
      let random = seed;
      let countdown = phase;
      while (!stopped) {
        random ^= random << 13;
        random ^= random >>> 17;
        random ^= random << 5;
        if (--countdown > 0) {
          await operate(random >>> 0);
        } else {
          countdown = stride;
          const from = performance.now();
          await operate(random >>> 0);
          const to = performance.now();
          latencies.record(to - from);
          if (to >= deadline) stopped = true;
        }
        operations++;
      }
    };
    const cpu = process.cpuUsage();
    const start = performance.now();
    const deadline = start + seconds * 1000;
    const loops: Promise<void>[] = [];
    for (let index = 0; index < this.#inFlight; index++) {
      loops.push(loop(this.#nextSeed(), 1 + (index % stride)));
    }
    await Promise.all(loops);
    const elapsed = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    return { operations, seconds: elapsed, clientCpu: (user + system) / 1e6 };
  }

  // Loops that start alike would ask for the same circuits in the same order.
  #nextSeed(): number {
    this.#seed = Math.imul(this.#seed, 0x9e3779b1) + 0x7f4a7c15 | 0;
    return this.#seed || 1;
  }
}
