import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { atMost } from "./bars.ts";
import type { ChangeAnswer, ChangeOrder } from "./changing_worker.ts";
import { openClient } from "./client.ts";
import { leftOut, type Outcome } from "./experiment.ts";
import { circuitKey } from "./load.ts";
import { epochNow, type WatchAnswer, type WatchOrder } from "./propagation_worker.ts";
import type { Stage } from "./stage.ts";
import { WorkerGroup } from "./worker_process.ts";

/** How a transition is to reach other processes. */
export interface Propagation {
  /** Whether the others listen, or keep the bound by asking at intervals alone. */
  listens: boolean;
  maxStalenessMs: number;
  /** How many other processes watch. */
  processes: number;
  transitions: number;
  /** How many other circuits, in use by all processes, change once a second meanwhile. */
  changing: number;
}

/** Within how many milliseconds 99 % of the sights of a transition must come where all listen. */
export const LISTENED_P99_MS = 50;

/** Transitions before the measured ones: by then each process listens and all code has run once. */
const UNMEASURED = 5;
const GIVE_UP_MS = 20_000;

interface Sample {
  /** From the call that made the transition to the first answer that showed it. */
  seenAfter: number;
  /** From the moment it was acknowledged to the last question that was answered without it. */
  missedFor: number;
  /** Between that question and the first answer that showed it. */
  step: number;
}

/** Measures when other processes see the transitions that one instance makes. */
export async function measurePropagation(
  stage: Stage,
  { listens, maxStalenessMs, processes, transitions, changing }: Propagation,
): Promise<Outcome> {
  await using database = await stage.createDatabase();
  await using connection = openClient(database.url);
  if (listens && connection.client.listen === undefined) {
    return leftOut("the adapter of postgres.js cannot listen");
  }
  const { url, table } = database;
  const key = circuitKey(0);
  const others = Array.from({ length: changing }, (_, index) => circuitKey(index + 1));
  await using writer = new PostgresCircuitBreakerStore(connection.client, table);
  await using watchers = await WorkerGroup.start<WatchOrder, WatchAnswer>(
    processes,
    new URL("./propagation_worker.ts", import.meta.url),
    () => ({ type: "begin", url, table, key, others, maxStalenessMs, listens }),
  );
  await using changers = await WorkerGroup.start<ChangeOrder, ChangeAnswer>(
    changing > 0 ? 1 : 0,
    new URL("./changing_worker.ts", import.meta.url),
    () => ({ type: "begin", url, table, keys: others }),
  );
  const beganAt = performance.now();
  const samples: Sample[] = [];
  let failures = 0;
  for (let round = 0; round < UNMEASURED + transitions; round++) {
    // A random pause keeps transitions out of step with refreshes, which all see the one before.
    const pause = (listens ? 100 : maxStalenessMs) * Math.random();
    await new Promise((resolve) => setTimeout(resolve, 10 + pause));
    const state = round % 2 === 0 ? "open" : "closed";
    const sentAt = epochNow();
    await writer.transition(key, state);
    const acknowledgedAt = epochNow();
    const answers = await watchers.askAll({ type: "await", state, withinMs: GIVE_UP_MS });
    failures = sum(answers.map((answer) => answer.failures));
    if (round < UNMEASURED) continue;
    samples.push(...answers.map(({ sight }) => ({
      seenAfter: sight.firstAt - sentAt,
      missedFor: sight.lastOtherAt - acknowledgedAt,
      step: sight.firstAt - sight.lastOtherAt,
    })));
  }
  const outcome = outcomeOf(samples, failures, listens, maxStalenessMs);
  for (const { changes, failures } of await changers.askAll({ type: "report" })) {
    const rate = changes / (performance.now() - beganAt) * 1000;
    outcome.lines.push(
      `${changing} other circuits: ${rate.toFixed(1)} changes per second, ${failures} failed`,
    );
    outcome.figures.changesPerSecond = rate;
  }
  return outcome;
}

function outcomeOf(
  samples: Sample[],
  failures: number,
  listens: boolean,
  maxStalenessMs: number,
): Outcome {
  const seen = distribution(samples.map(({ seenAfter }) => seenAfter));
  const steps = distribution(samples.map(({ step }) => step));
  const oldest = Math.max(0, ...samples.map(({ missedFor }) => missedFor));
  const shown = (ms: number) => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  const all = ({ p50, p99, max }: Distribution) =>
    `p50 ${shown(p50)}, p99 ${shown(p99)}, max ${shown(max)}`;
  return {
    lines: [
      `first seen after the call that made it: ${all(seen)} (${samples.length} sights)`,
      `last answered without it after it was acknowledged: ${shown(oldest)} at most`,
      `time between two looks at it: ${all(steps)}; ${failures} of the looks failed`,
    ],
    figures: { seen, oldest, steps, sights: samples.length, failures },
    verdicts: [
      listens
        ? atMost("transitions, listening: p99 until seen", seen.p99, LISTENED_P99_MS, shown)
        // The bound limits the age of an answer. A process may see the transition one look later.
        : atMost("transitions, polling: oldest answer", oldest, maxStalenessMs, shown),
    ],
  };
}

interface Distribution {
  p50: number;
  p99: number;
  max: number;
}

function distribution(numbers: number[]): Distribution {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
