import { ratios, type Result } from "./measure.ts";
import { ROWS } from "./scenarios.ts";

/** How two rows of one measurement must compare. */
export interface Bar {
  /** The name of the load. */
  scenario: string;
  /** Labels of the two results: so many times the operations per second of the other. */
  over: string;
  under: string;
  atLeast: number;
  /** What would be better still. */
  aim?: number;
}

/** How a bar went. */
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
  { scenario: "gateway-64", over: "ours", under: "memory", atLeast: 0.6, aim: 0.75 },
  { scenario: "gateway-64", over: "ours", under: "original", atLeast: 6 },
  { scenario: "gateway-64", over: "ours", under: "redis", atLeast: 1.5 },
  { scenario: "gateway-256", over: "ours", under: "memory", atLeast: 0.9 },
  { scenario: "gateway-256", over: "ours", under: "original", atLeast: 10 },
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
    const [low, measured, high] = ratios(over, under);
    verdicts.push({
      what: `${scenario.title}: ${bar.over} / ${bar.under}`,
      measured,
      shown: `${times(measured)} (half of the rounds ${times(low)} to ${times(high)})`,
      required: `at least ${times(bar.atLeast)}${bar.aim ? `, aim ${times(bar.aim)}` : ""}`,
      ok: measured >= bar.atLeast,
    });
  }
  return verdicts;
}

/** A ratio as text. */
export function times(ratio: number): string {
  if (ratio >= 100) return `${Math.round(ratio).toLocaleString("en")}x`;
  return `${ratio >= 10 ? ratio.toFixed(1).replace(/\.0$/, "") : ratio.toFixed(2)}x`;
}
