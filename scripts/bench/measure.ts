import type { ContenderName } from "./contenders.ts";
import { machineCpuSeconds } from "./cpu.ts";
import type { Histogram } from "./histogram.ts";
import type { Round } from "./load.ts";

/** One row of a measurement while it runs: a contender under a load. */
export interface Subject {
  /** What the table calls it. */
  readonly label: string;
  readonly contender: ContenderName;
  readonly latencies: Histogram;
  /** How many statements or commands it has sent so far. */
  statements(): number;
  /** CPU seconds of its server so far. */
  serverCpu(): Promise<number>;
  warmUp(seconds: number): Promise<Round>;
  round(seconds: number): Promise<Round>;
  /** What it leaves behind, once all rounds are over, given the number of operations it ran. */
  leftovers(operations: number): Promise<Leftovers>;
}

/** What a load left behind. */
export interface Leftovers {
  /** Size of the table and its index, in bytes. */
  tableBytes?: number;
  /** Rows that no transaction can see any more and that still take room. */
  deadRows?: number;
  /** The share of recorded successes that the store does not know of. */
  lost?: number;
}

/** What was measured of one contender under one load. */
export interface Result extends Leftovers {
  label: string;
  contender: ContenderName;
  /** Operations per second in each round. */
  rates: number[];
  /** Operations per second, the median of the rounds. */
  rate: number;
  /** The 99th percentile of the latencies of each round, in milliseconds. */
  p99s: number[];
  /** Milliseconds, over all rounds. */
  p50: number;
  p99: number;
  p999: number;
  statementsPerCall: number;
  /** CPU time for all measured rounds, in seconds. */
  clientCpu: number;
  serverCpu: number;
  /** How many cores other processes kept busy meanwhile. */
  otherCores: number;
  operations: number;
}

/** How long to measure. */
export interface Pace {
  rounds: number;
  secondsPerRound: number;
  warmUpSeconds: number;
}

// Tidying up before a shorter round would take longer than the round.
const WORTH_TIDYING = 0.1;

const BREATH_MS = 5;

/**
 * Measures all subjects in each round, so that other work on the machine affects all of them alike. The
 * order changes from round to round, so that no subject always follows the same other one.
 */
export async function measure(
  subjects: Subject[],
  callsPerOperation: number,
  pace: Pace,
): Promise<Result[]> {
  const tallies = subjects.map(() => ({
    rates: [] as number[],
    p99s: [] as number[],
    client: 0,
    server: 0,
    machine: 0,
    seconds: 0,
    total: 0,
  }));
  const unmeasured: number[] = [];
  for (const subject of subjects) {
    unmeasured.push((await subject.warmUp(pace.warmUpSeconds)).operations);
  }
  const statements = subjects.map((subject) => subject.statements());
  for (let round = 0; round < pace.rounds; round++) {
    for (const index of order(subjects.length, round)) {
      const subject = subjects[index]!;
      const tally = tallies[index]!;
      if (pace.secondsPerRound >= WORTH_TIDYING) collectGarbage();
      await breathe();
      const before = subject.latencies.copy();
      const machine = await machineCpuSeconds();
      const server = await subject.serverCpu();
      const { operations, seconds, clientCpu } = await subject.round(pace.secondsPerRound);
      tally.server += await subject.serverCpu() - server;
      tally.machine += await machineCpuSeconds() - machine;
      tally.seconds += seconds;
      tally.rates.push(operations / seconds);
      tally.p99s.push(subject.latencies.since(before).percentile(0.99));
      tally.client += clientCpu;
      tally.total += operations;
    }
  }
  const results: Result[] = [];
  for (const [index, subject] of subjects.entries()) {
    const { rates, p99s, client, server, machine, seconds, total } = tallies[index]!;
    const sent = subject.statements() - statements[index]!;
    results.push({
      label: subject.label,
      contender: subject.contender,
      rates,
      rate: median(rates),
      p99s,
      p50: subject.latencies.percentile(0.5),
      p99: subject.latencies.percentile(0.99),
      p999: subject.latencies.percentile(0.999),
      statementsPerCall: sent / (total * callsPerOperation),
      clientCpu: client,
      serverCpu: server,
      otherCores: Math.max(0, (machine - client - server) / seconds),
      operations: total,
      ...await subject.leftovers(total + unmeasured[index]!),
    });
  }
  return results;
}

/** How many times as many operations one result has as another: the median over the rounds. */
export function ratio(over: Result, under: Result): number {
  return ratios(over.rates, under.rates)[1];
}

/** The quartiles of the ratios of two figures that were taken in each round. */
export function ratios(over: number[], under: number[]): [number, number, number] {
  const each = over.map((figure, round) => figure / under[round]!);
  return [quantile(each, 0.25), median(each), quantile(each, 0.75)];
}

function median(numbers: number[]): number {
  return quantile(numbers, 0.5);
}

function quantile(numbers: number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(position)]!, sorted[Math.ceil(position)]!];
  return below + (above - below) * (position - Math.floor(position));
}

function order(length: number, round: number): number[] {
  const indices = Array.from({ length }, (_, index) => (index + (round >> 1)) % length);
  return round % 2 === 0 ? indices : indices.reverse();
}

/**
 * A store that answers from memory keeps the event loop busy. The pause lets other stores refresh
 * themselves, as they would between two requests from the network.
 */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, BREATH_MS));
}

/** Collects garbage where V8 allows it, so that no contender pays for garbage of the one before. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
