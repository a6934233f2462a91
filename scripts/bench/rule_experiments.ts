import { PostgresCircuitBreakerStore } from "../../mod.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../src/options/store_options.ts";
import { atMost, times, type Verdict } from "./bars.ts";
import { captureRecord } from "./capture.ts";
import type { CircuitsDatabase } from "./circuits.ts";
import { openClient } from "./client.ts";
import type { Experiment, Outcome } from "./experiment.ts";
import { circuitKey, Generator, operate } from "./load.ts";
import { ratios } from "./measure.ts";
import { replay, shownCost } from "./replay.ts";
import type { Stage } from "./stage.ts";

/** What the rules of the store's own may cost. */
export const RULE_BARS = {
  /** A failure with 10,000 others in the window over one with 10. */
  failures: 1.5,
  /** Records without a rate over records with one, per second. */
  rate: 1.25,
  /** The bytes of a row that has everything. */
  rowBytes: 2048,
} as const;

/** How many failures lie in the window. */
const FAILURES = [10, 1000, 10_000];

/** How many failures are measured before the window is filled anew. */
const MEASURED = 20;

/** No circuit opens, so that each record judges it. A segment lasts longer than a measurement. */
const RATE: PostgresCircuitBreakerStoreOptions = {
  windowMs: 24 * 3_600_000,
  failureRateThreshold: 1,
  slowCallRateThreshold: 1,
  slowCallDurationMs: 1000,
};

/** A window that holds everything that is measured. */
const WINDOWED: PostgresCircuitBreakerStoreOptions = {
  trip: "caller",
  failureThreshold: 10_000,
  failureWindowMs: 600_000,
};

const KEY = circuitKey(0);

/** A failure, with more and more failures in the window. */
async function failureCost(stage: Stage, isQuick: boolean): Promise<Outcome> {
  await using database = await stage.createDatabase();
  await using connection = openClient(database.url, 1);
  await using store = new PostgresCircuitBreakerStore(connection.client, WINDOWED);
  const pid = Number(
    (await connection.client.query("select pg_backend_pid()::text as pid")).rows[0]!.pid,
  );
  const costs = FAILURES.map((): number[] => []);
  for (let round = 0; round < (isQuick ? 7 : 30); round++) {
    for (const [place, failures] of FAILURES.entries()) {
      await store.transition(KEY, "closed");
      await record(store, "recordFailure", failures);
      const before = await stage.backendCpu(pid);
      for (let time = 0; time < MEASURED; time++) await store.recordFailure(KEY);
      // The first round warms up.
      const cpu = (await stage.backendCpu(pid) - before) * 1e6 / MEASURED;
      if (round > 0) costs[place]!.push(cpu);
    }
  }
  const medians = costs.map((cost) => ratios(cost, cost.map(() => 1))[1]);
  const bytes = await rowBytes(database);
  return {
    lines: [
      ...FAILURES.map((failures, place) =>
        `${failures.toLocaleString("en")} failures in the window: ` +
        `${medians[place]!.toFixed(0)} us of server CPU`
      ),
      `a row with 10,000 failures and calls in its windows: ${bytes} bytes`,
    ],
    figures: { costs, bytes },
    verdicts: [
      ...FAILURES.slice(1).map((failures, place) =>
        atMost(
          `rule-failures: a failure with ${
            failures.toLocaleString("en")
          } in the window over one with 10`,
          ratios(costs[place + 1]!, costs[0]!)[1],
          RULE_BARS.failures,
          times,
        )
      ),
      atMost(
        "rule-failures: the size of a row",
        bytes,
        RULE_BARS.rowBytes,
        (size) => `${size} bytes`,
      ),
    ],
  };
}

/** Calls that share statements. */
async function record(
  store: PostgresCircuitBreakerStore,
  method: "recordSuccess" | "recordFailure",
  calls: number,
): Promise<void> {
  await Promise.all(Array.from({ length: calls }, () => store[method](KEY)));
}

/** The size of a row that has all that the rules remember, with large numbers everywhere. */
async function rowBytes(database: CircuitsDatabase): Promise<number> {
  await using connection = openClient(database.url, 1);
  await using store = new PostgresCircuitBreakerStore(connection.client, {
    ...WINDOWED,
    trip: "store",
    ...RATE,
  });
  await store.transition(KEY, "closed");
  await record(store, "recordSuccess", 10_000);
  await record(store, "recordFailure", 9999);
  const { rows } = await connection.client.query(
    `select pg_catalog.pg_column_size(c.*)::text as bytes from ${database.table} as c where key = $1`,
    [KEY],
  );
  return Number(rows[0]!.bytes);
}

/** Records with a rate and without, in turns. */
async function rateCost(stage: Stage, isQuick: boolean): Promise<Outcome> {
  const [rounds, seconds] = isQuick ? [5, 0.5] : [15, 1];
  await using resources = new AsyncDisposableStack();
  const lines: string[] = [];
  const verdicts: Verdict[] = [];
  const figures: Record<string, unknown> = {};
  const databases: CircuitsDatabase[] = [];
  const loops: Generator[] = [];
  // Here a segment lasts as long as by default.
  for (const options of [{}, { ...RATE, windowMs: undefined }]) {
    const database = resources.use(await stage.createDatabase());
    const { client } = resources.use(openClient(database.url));
    const store = resources.use(new PostgresCircuitBreakerStore(client, options));
    databases.push(database);
    loops.push(
      new Generator(operate(store, { operation: "record", circuits: 1, inFlight: 64 }), 64),
    );
  }
  for (const loop of loops) await loop.warmUp(1);
  const rates = loops.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const place of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const { operations, seconds: took } = await loops[place]!.round(seconds);
      rates[place]!.push(operations / took);
    }
  }
  const medians = rates.map((each) => ratios(each, each.map(() => 1))[1]);
  lines.push(
    `recordSuccess, one circuit, 64 in flight: ${
      medians[0]!.toFixed(0)
    } per second without a rate, ` +
      `${medians[1]!.toFixed(0)} with one`,
  );
  figures.rates = rates;
  verdicts.push(
    atMost(
      "rule-rate: records without a rate over those with one, one circuit, 64 in flight",
      ratios(rates[0]!, rates[1]!)[1],
      RULE_BARS.rate,
      times,
    ),
  );
  for (const method of ["recordSuccess", "recordFailure"] as const) {
    for (const keys of [1, 64]) {
      const name = `${method}-${keys}`;
      for (const database of databases) await database.fill(64);
      const costs = await replay(stage, [
        {
          ...await captureRecord(databases[0]!, method, keys),
          url: databases[0]!.url,
          label: `${name} without a rate`,
        },
        {
          // Failures alone never make it due.
          ...await captureRecord(databases[1]!, method, keys, {
            ...RATE,
            ...method === "recordFailure" && { minimumThroughput: 1_000_000 },
          }),
          url: databases[1]!.url,
          label: `${name} with a rate`,
        },
      ], isQuick ? { rounds: 7, perRound: 300 } : { rounds: 15, perRound: 1000 });
      lines.push(...costs.map(shownCost));
      figures[name] = costs;
    }
  }
  return { lines, figures, verdicts };
}

/** What the rules of the store's own cost, with the bars of {@linkcode RULE_BARS}. */
export const RULE_EXPERIMENTS: readonly Experiment[] = [
  {
    name: "rule-failures",
    title: "A failure with 10 to 10,000 failures in the window",
    isQuick: true,
    run: failureCost,
  },
  {
    name: "rule-rate",
    title: "Records with a rate, in turns with records without one",
    isQuick: true,
    run: rateCost,
  },
];
