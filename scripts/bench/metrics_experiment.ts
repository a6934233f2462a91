import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { collect } from "../../src/metrics/prometheus.ts";
import { atMost, times } from "./bars.ts";
import { openClient } from "./client.ts";
import { STALENESS_MS } from "./contenders.ts";
import type { Experiment, Outcome } from "./experiment.ts";
import { Generator, operate } from "./load.ts";
import { ratios } from "./measure.ts";
import type { Stage } from "./stage.ts";

/** Calls per second without metrics over those with metrics, at most. */
export const METRICS_BAR = 1.1;

/** How many circuits take turns. */
const CIRCUITS = [1, 100];

/** A healthy gateway that answers from memory, with metrics and without, in turns. */
async function metricsCost(stage: Stage, isQuick: boolean): Promise<Outcome> {
  const [rounds, seconds] = isQuick ? [9, 0.3] : [25, 0.5];
  const lines: string[] = [];
  const figures: Record<string, unknown> = {};
  const verdicts = [];
  for (const circuits of CIRCUITS) {
    await using resources = new AsyncDisposableStack();
    const loops: Generator[] = [];
    for (const isMeasured of [false, true]) {
      const database = resources.use(await stage.createDatabase());
      await database.fill(circuits);
      const { client } = resources.use(openClient(database.url));
      const store = resources.use(
        new PostgresCircuitBreakerStore(client, { maxStalenessMs: STALENESS_MS }),
      );
      if (isMeasured) collect(store, { registerMetric() {}, removeSingleMetric() {} });
      const load = { operation: "both", circuits, inFlight: 64 } as const;
      loops.push(new Generator(operate(store, load), 64));
    }
    for (const loop of loops) await loop.warmUp(1);
    const rates = loops.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const place of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const { operations, seconds: took } = await loops[place]!.round(seconds);
        rates[place]!.push(operations / took);
      }
    }
    const [bare, measured] = rates.map((each) => ratios(each, each.map(() => 1))[1]);
    const named = circuits === 1 ? "1 circuit" : `${circuits} circuits`;
    lines.push(
      `${named}: ${bare!.toFixed(0)} per second without metrics, ${measured!.toFixed(0)} with them`,
    );
    figures[named] = rates;
    verdicts.push(
      atMost(
        `metrics: calls without metrics over those with them, ${named}`,
        ratios(rates[0]!, rates[1]!)[1],
        METRICS_BAR,
        times,
      ),
    );
  }
  return { lines, figures, verdicts };
}

/** What metrics cost, with the bar of {@linkcode METRICS_BAR}. */
export const METRICS_EXPERIMENT: Experiment = {
  name: "metrics",
  title: `Healthy gateway, 64 in flight, maxStalenessMs ${STALENESS_MS}, with metrics and without`,
  isQuick: true,
  run: metricsCost,
};
