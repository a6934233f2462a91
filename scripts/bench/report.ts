import { times, type Verdict } from "./bars.ts";
import { STALENESS_MS } from "./contenders.ts";
import type { Finding } from "./experiment.ts";
import { ratio, type Result } from "./measure.ts";
import type { Scenario } from "./scenarios.ts";

/** What was measured under one load. */
export interface Measurement {
  scenario: Scenario;
  results: Result[];
}

const COLUMNS: [title: string, width: number][] = [
  ["", 21],
  ["per second", 11],
  ["original", 9],
  ["p50 ms", 8],
  ["p99 ms", 8],
  ["p99.9 ms", 9],
  ["sent/call", 10],
  ["client us", 10],
  ["server us", 10],
  ["dead rows", 10],
  ["table", 8],
  ["lost", 7],
];

/** A quiet machine stays below. */
const BUSY_CORES = 0.25;

/** The meaning of the columns, printed once. */
export const LEGEND: string = `per second: operations, the median of the rounds
stale: ours with maxStalenessMs ${STALENESS_MS}
floor: the bare statement for each call; gathered: one bare statement for all calls that wait
original: the rate as a multiple of the original Postgres store's rate
p50, p99, p99.9: latency of an operation, over all rounds
sent/call: statements or Redis commands for each call to the store
client us, server us: CPU time for each operation
dead rows, table: after the load, the table with its index
lost: recorded successes that the store does not know of`;

/** The table of one load, with a heading. */
export function tableOf({ scenario, results }: Measurement): string {
  const original = results.find((result) => result.contender === "original");
  const lines = [
    `${scenario.title}  (${scenario.name})${noiseOf(results)}`,
    line(COLUMNS.map(([title]) => title)),
    ...results.map((result) => line(cellsOf(result, original))),
  ];
  return lines.join("\n");
}

/**
 * Says so when other processes kept the machine busy: a store that waits for a server's process then
 * loses more than one that does not, and ratios come out too low.
 */
function noiseOf(results: Result[]): string {
  const cores = Math.max(...results.map((result) => result.otherCores));
  return cores > BUSY_CORES ? `  DISTURBED: others kept ${cores.toFixed(1)} cores busy` : "";
}

/** What an experiment found, with a heading. */
export function paragraphOf({ name, title, lines }: Finding): string {
  return [`${title}  (${name})`, ...lines.map((each) => `  ${each}`)].join("\n");
}

/** One line for a bar. */
export function lineOf({ what, shown, required, ok }: Verdict): string {
  return `bar: ${what}  ${shown}, ${required}  ${ok ? "ok" : "MISSED"}`;
}

/** A number of bytes as text. */
export function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function cellsOf(result: Result, original: Result | undefined): string[] {
  const perOperation = (seconds: number) => shown(seconds / result.operations * 1e6);
  return [
    result.label,
    Math.round(result.rate).toLocaleString("en"),
    original ? times(ratio(result, original)) : "",
    shown(result.p50),
    shown(result.p99),
    shown(result.p999),
    result.contender === "memory" ? "" : shown(result.statementsPerCall),
    perOperation(result.clientCpu),
    result.contender === "memory" ? "" : perOperation(result.serverCpu),
    result.deadRows === undefined ? "" : String(result.deadRows),
    result.tableBytes === undefined ? "" : size(result.tableBytes),
    lostOf(result),
  ];
}

function lostOf({ contender, lost }: Result): string {
  if (lost === undefined || contender === "memory") return "";
  return lost === 0 ? "0" : `${(lost * 100).toFixed(1)} %`;
}

/** Three digits. */
function shown(number: number): string {
  if (Number.isNaN(number)) return "?";
  if (number >= 100) return number.toFixed(0);
  if (number >= 10) return number.toFixed(1);
  return number.toFixed(number < 1 ? 3 : 2);
}

function line(cells: string[]): string {
  return cells.map((cell, index) => {
    const width = COLUMNS[index]![1];
    return index === 0 ? `  ${cell.padEnd(width)}` : cell.padStart(width);
  }).join("").trimEnd();
}
