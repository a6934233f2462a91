/**
 * Measures breakers in one process, of whatever runtime runs it, and prints the figures as JSON. Its
 * arguments: a connection string, rounds.
 *
 * @module
 */

import * as cockatiel from "cockatiel";
import process from "node:process";
import Opossum from "opossum";
import postgres from "postgres";
import {
  CircuitBreaker,
  InMemoryCircuitBreakerStore,
  PostgresCircuitBreakerStore,
} from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";

/** What was measured of one contender. */
export interface BreakerFigures {
  /** Calls per second in each round, by the number of calls in flight. */
  readonly rates: Readonly<Record<number, number[]>>;
  /** Microseconds of the process's CPU per call, likewise. Other programs on the machine change it little. */
  readonly cpu: Readonly<Record<number, number[]>>;
  /** Bytes that a call allocates, the median of several samples; absent where calls send statements. */
  readonly bytes?: number;
}

type Call = () => Promise<unknown>;

/** How many calls are in flight at a time. */
const IN_FLIGHT = [1, 64];

/**
 * Calls of a round, and of a loop of one that sends statements. Rounds of a time would leave the compiler
 * too few calls on a busy machine.
 */
const CALLS = 20_000;
const SENDING_CALLS = 50;

/** Calls of one sample of allocated bytes: few enough for no collection in between. */
const SAMPLED = 500;
const SAMPLES = 15;

const KEY = "upstream";

/** The contenders that send statements for each call. */
const SENDING = /consistent|acquire/;

/** What each breaker guards: it ends at once, and leaves its signal alone. */
const guarded: Call = () => ANSWER;
const ANSWER = Promise.resolve("answer");

const { gc } = globalThis as { gc?: () => void };

async function main(url: string, rounds: number): Promise<void> {
  const sql = postgres(url, { max: 10, onnotice: () => {} });
  const client = fromPostgresJs(sql);
  const rules = { failureRateThreshold: 0.5, resetTimeoutMs: 10_000 } as const;
  const consistent = new PostgresCircuitBreakerStore(client, rules);
  // Rounds of answers from memory leave the event loop no time for a refresh.
  const cached = new PostgresCircuitBreakerStore(client, { ...rules, maxStalenessMs: 60_000 });
  const memory = new InMemoryCircuitBreakerStore(rules);
  const breakers = {
    "ours, cached": new CircuitBreaker(cached),
    "ours, cached, callTimeoutMs": new CircuitBreaker(cached, { callTimeoutMs: 10_000 }),
    "ours, in memory": new CircuitBreaker(memory),
    "ours, consistent": new CircuitBreaker(consistent),
    "ours, consistent, record await": new CircuitBreaker(consistent, { record: "await" }),
  };
  const sampling = cockatiel.circuitBreaker(cockatiel.handleAll, {
    halfOpenAfter: 10_000,
    breaker: new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 60_000 }),
  });
  const withTimeout = new Opossum(guarded);
  const withoutTimeout = new Opossum(guarded, { timeout: false });
  const contenders: Record<string, Call> = {
    "no breaker": async () => await guarded(),
    ...Object.fromEntries(
      Object.entries(breakers).map(([name, breaker]) => [
        name,
        () => breaker.execute(KEY, guarded),
      ]),
    ),
    "acquire + report": async () => {
      const permit = await consistent.acquire(KEY);
      const answer = await guarded();
      await permit.report("success");
      return answer;
    },
    "cockatiel, sampling": () => sampling.execute(guarded),
    "opossum": () => withTimeout.fire(),
    "opossum, no timeout": () => withoutTimeout.fire(),
  };
  const figures: Record<string, BreakerFigures> = {};
  for (const name of Object.keys(contenders)) {
    figures[name] = { rates: { 1: [], 64: [] }, cpu: { 1: [], 64: [] } };
  }
  for (const inFlight of IN_FLIGHT) {
    for (let round = -1; round < rounds; round++) {
      const names = Object.keys(contenders);
      // So that no contender always follows the same other one.
      if (round % 2 === 0) names.reverse();
      for (const name of names) {
        const { rate, cpu } = await measured(
          contenders[name]!,
          inFlight,
          SENDING.test(name) ? SENDING_CALLS : CALLS / inFlight,
        );
        if (round < 0) continue; // it warms up
        figures[name]!.rates[inFlight]!.push(rate);
        figures[name]!.cpu[inFlight]!.push(cpu);
      }
    }
  }
  for (const [name, call] of Object.entries(contenders)) {
    // The driver of the others allocates more than any breaker.
    if (gc === undefined || SENDING.test(name)) continue;
    figures[name] = { ...figures[name]!, bytes: await bytesOf(call, gc) };
  }
  for (const breaker of Object.values(breakers)) await breaker.close();
  for (const store of [cached, consistent, memory]) await store.close();
  for (const breaker of [withTimeout, withoutTimeout]) breaker.shutdown();
  await sql.end({ timeout: 5 });
  console.log(JSON.stringify(figures));
}

/** Calls per second, and what each costs, with a fixed number in flight. */
async function measured(
  call: Call,
  inFlight: number,
  perLoop: number,
): Promise<{ rate: number; cpu: number }> {
  gc?.();
  // Timers and sockets of the others.
  await new Promise((resolve) => setTimeout(resolve, 5));
  const before = process.cpuUsage();
  const from = performance.now();
  const loop = async () => {
    for (let each = 0; each < perLoop; each++) await call();
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const made = perLoop * inFlight;
  const rate = made / (performance.now() - from) * 1000;
  const { user, system } = process.cpuUsage(before);
  return { rate, cpu: (user + system) / made };
}

/** How many bytes a call allocates. */
async function bytesOf(call: Call, gc: () => void): Promise<number> {
  const samples: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    gc();
    const before = process.memoryUsage().heapUsed;
    for (let each = 0; each < SAMPLED; each++) await call();
    samples.push((process.memoryUsage().heapUsed - before) / SAMPLED);
  }
  return samples.toSorted((a, b) => a - b)[SAMPLES >> 1]!;
}

const [url, rounds] = process.argv.slice(2);
await main(url!, Number(rounds));
