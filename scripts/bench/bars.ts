import { ratios, type Result } from "./measure.ts";
import { ROWS } from "./scenarios.ts";

/** How two rows of one measurement must compare, as a ratio within the run. */
export type Bar = ThroughputBar | LatencyBar;

interface Compared {
  /** The name of the load. */
  scenario: string;
  /** Labels of the two results: the first divided by the second. */
  over: string;
  under: string;
}

/** A bar for operations per second. */
export interface ThroughputBar extends Compared {
  atLeast: number;
}

/** A bar for the latency that 99 % of the operations do not exceed. */
export interface LatencyBar extends Compared {
  p99AtMost: number;
}

/** The outcome of a bar. */
export interface Verdict {
  what: string;
  measured: number;
  /** The measured value and what is required of it, in words. */
  shown: string;
  required: string;
  ok: boolean;
}

/** The label of a table with that many rows. */
export function rowsLabel(rows: number): string {
  return `ours, ${rows.toLocaleString("en")} rows`;
}

const FEW = rowsLabel(ROWS[0]);
const MANY = rowsLabel(ROWS[1]);
const FLAT = 1 / 1.3;

/** What must hold, as ratios within one run. */
export const BARS: readonly Bar[] = [
  { scenario: "record-1-64", over: "ours", under: "original", atLeast: 40 },
  { scenario: "record-1-512", over: "ours", under: "original", atLeast: 100 },
  { scenario: "processes-64", over: "ours", under: "original", atLeast: 40 },
  { scenario: "both-100-64", over: "ours", under: "original", atLeast: 5 },
  { scenario: "both-10000-64", over: "ours", under: "original", atLeast: 4 },
  { scenario: "record-1-1", over: "ours", under: "original", atLeast: 0.95 },
  { scenario: "read-1-1", over: "ours", under: "original", atLeast: 0.95 },
  { scenario: "gateway-64", over: "ours", under: "original", atLeast: 6 },
  { scenario: "gateway-64", over: "ours", under: "redis", atLeast: 1.5 },
  { scenario: "gateway-256", over: "ours", under: "original", atLeast: 10 },
  // These bars measure this library alone: driver, server and disk cost both contenders the same. Bars of
  // "ours" over "memory" would measure the server and its disk.
  { scenario: "record-1-64", over: "ours", under: "gathered", atLeast: 0.8 },
  { scenario: "both-100-64", over: "ours", under: "gathered", atLeast: 0.75 },
  { scenario: "both-10000-64", over: "ours", under: "gathered", atLeast: 0.75 },
  { scenario: "gateway-64", over: "ours", under: "gathered", atLeast: 0.85 },
  { scenario: "gateway-256", over: "ours", under: "gathered", atLeast: 0.85 },
  ...["gateway-1", "gateway-64", "gateway-256"].flatMap((scenario): Bar[] => [
    { scenario, over: "stale", under: "memory", atLeast: 0.95 },
    { scenario, over: "stale", under: "memory", p99AtMost: 1.2 },
  ]),
  { scenario: "rows-read-1", over: MANY, under: FEW, atLeast: FLAT },
  { scenario: "rows-read-64", over: MANY, under: FEW, atLeast: FLAT },
  { scenario: "rows-record-1", over: MANY, under: FEW, atLeast: FLAT },
  { scenario: "rows-record-64", over: MANY, under: FEW, atLeast: FLAT },
];

/** Whether something is demanded of a load. */
export function isBarred(scenario: string): boolean {
  return BARS.some((bar) => bar.scenario === scenario);
}

/** Checks the bars of one measurement; one whose contender is missing is left out. */
export function check(scenario: { name: string; title: string }, results: Result[]): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const bar of BARS) {
    if (bar.scenario !== scenario.name) continue;
    const over = results.find((result) => result.label === bar.over);
    const under = results.find((result) => result.label === bar.under);
    if (over === undefined || under === undefined) continue;
    verdicts.push(
      "p99AtMost" in bar
        ? latencyVerdict(scenario.title, bar, over, under)
        : throughputVerdict(scenario.title, bar, over, under),
    );
  }
  return verdicts;
}

function throughputVerdict(
  title: string,
  bar: ThroughputBar,
  over: Result,
  under: Result,
): Verdict {
  const quartiles = ratios(over.rates, under.rates);
  const what = `${title}: ${bar.over} / ${bar.under}`;
  return { ...atLeast(what, quartiles[1], bar.atLeast, times), shown: shownRatio(quartiles) };
}

function latencyVerdict(title: string, bar: LatencyBar, over: Result, under: Result): Verdict {
  const quartiles = ratios(over.p99s, under.p99s);
  const what = `${title}: p99 of ${bar.over} / ${bar.under}`;
  return { ...atMost(what, quartiles[1], bar.p99AtMost, times), shown: shownRatio(quartiles) };
}

function shownRatio([low, median, high]: [number, number, number]): string {
  return `${times(median)} (half of the rounds ${times(low)} to ${times(high)})`;
}

/** A figure that is held to a limit, and how it is shown. */
type Held = [what: string, measured: number, limit: number, shown: (figure: number) => string];

/** The verdict on a figure that stands by itself. A figure that could not be taken is missed. */
export function atMost(...held: Held): Verdict {
  const [, measured, limit] = held;
  return verdict("at most", measured <= limit, held);
}

/** The same for a figure that must not be smaller. */
export function atLeast(...held: Held): Verdict {
  const [, measured, limit] = held;
  return verdict("at least", measured >= limit, held);
}

function verdict(bound: string, ok: boolean, [what, measured, limit, shown]: Held): Verdict {
  return { what, measured, shown: shown(measured), required: `${bound} ${shown(limit)}`, ok };
}

/** A ratio as text. */
export function times(ratio: number): string {
  if (ratio >= 100) return `${Math.round(ratio).toLocaleString("en")}x`;
  return `${ratio >= 10 ? ratio.toFixed(1).replace(/\.0$/, "") : ratio.toFixed(2)}x`;
}
