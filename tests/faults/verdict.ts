import type { LoadReport, SlowCall } from "./messages.ts";
import type { Scenario } from "./scenario.ts";
import type { Player } from "./stage.ts";

/** By how much a call may be late. */
const GRACE_MS = 100;

/** How soon after the database is back everything works again. */
const RECOVERY_MS = 2000;

/** How long a call may take during a known outage. */
const FAST_MS = 5;

/** Fewer calls than this say nothing about their distribution. */
const LEAST_SAMPLE = 100;

/** How a scenario went for one load. */
export interface Result extends Player {
  report: LoadReport;
  recoveredAfterMs: number;
  code: number;
  errors: string;
}

/** What the table says of a circuit. */
export interface CountRow {
  key: string;
  failures: number;
  successes: number;
}

/** All that did not go as promised. */
export function* loadProblems(result: Result, scenario: Scenario): Generator<string> {
  const { load, mode, report, code, errors, recoveredAfterMs } = result;
  const { timeoutMs } = load.settings;
  if (code !== 0) yield `the process ended with ${code}: ${errors}`;
  for (const slow of report.slowest) {
    // The policy asks its store before a request and after it.
    const limit = (slow.call === "gateway" ? 2 : 1) * (timeoutMs + GRACE_MS);
    if (slow.tookMs > limit) yield `${describe(slow)}, more than ${limit} ms`;
  }
  if (recoveredAfterMs > RECOVERY_MS) yield `recovered after ${Math.round(recoveredAfterMs)} ms`;
  const { calls, p90 } = report.during;
  if (calls >= LEAST_SAMPLE && p90 > FAST_MS) yield `calls in a known outage took ${p90} ms`;
  const statuses = Object.keys(report.gateway);
  if (statuses.join() !== "200") yield `the gateway answered ${JSON.stringify(report.gateway)}`;
  yield* errorProblems(report, mode === "throw", scenario);
  yield* outageProblems(result, scenario.outages);
  for (const phase of ["start", "after"]) {
    const { errors, outages } = report.phases[phase]!;
    if (errors + outages > 0) yield `${errors} errors and ${outages} outages in phase ${phase}`;
  }
}

function* errorProblems(report: LoadReport, isThrow: boolean, scenario: Scenario) {
  const { expects = [], allows = [] } = scenario;
  for (const [label, { count, message }] of Object.entries(report.errors)) {
    const isFine = [...expects, ...allows].includes(label) || label === "StoreUnavailableError";
    if (!isFine) yield `${count} times ${label}: ${message}`;
  }
  if (!isThrow) return;
  for (const label of expects) {
    if (!(label in report.errors)) yield `no ${label} in ${Object.keys(report.errors)}`;
  }
}

/** Each outage begins once, with its cause, and ends once. */
function* outageProblems({ load }: Player, outages: Scenario["outages"]) {
  const events = load.all("outage");
  for (const [index, { isOut, cause }] of events.entries()) {
    if (isOut !== (index % 2 === 0)) yield `outage event ${index} says ${isOut}`;
    if (isOut && cause === undefined) yield `outage event ${index} has no cause`;
  }
  const begun = events.length / 2;
  if (!Number.isInteger(begun)) yield `an outage has no end`;
  const [least, most] = outages ?? [0, Infinity];
  if (begun < least || begun > most) {
    yield `${begun} outages: ${events.map((each) => each.cause?.message ?? "end").join(" | ")}`;
  }
}

/** Acknowledged <= stored <= acknowledged + unknown, for each counter of each circuit. */
export function* countProblems(
  results: Result[],
  rows: CountRow[],
  isKept: boolean,
): Generator<string> {
  const stored = new Map(rows.map((row) => [row.key, row]));
  const keys = new Set(results.flatMap(({ report }) => Object.keys(report.tallies)));
  for (const key of keys) {
    for (const counter of ["failures", "successes"] as const) {
      let acknowledged = 0, unknown = 0, isExact = isKept || key.includes(" after");
      for (const { report, mode } of results) {
        const tally = report.tallies[key];
        if (tally === undefined) continue;
        acknowledged += tally[counter].acknowledged;
        unknown += tally[counter].unknown;
        // What was said locally is not in the database.
        if (mode === "local" && !key.includes(" after") && !key.includes(" start")) isExact = false;
        // A refresh of which nobody knows what became of it takes successes with it.
        if (mode === "bounded" && counter === "successes" && !key.includes(" after")) {
          isExact = false;
        }
      }
      const count = stored.get(key)?.[counter] ?? 0;
      const least = isExact ? acknowledged : 0;
      if (count >= least && count <= acknowledged + unknown) continue;
      yield `${key}: ${count} ${counter}, acknowledged ${acknowledged}, unknown ${unknown}`;
    }
  }
}

function describe({ call, tookMs, noiseMs, outcome }: SlowCall): string {
  return `${call} took ${Math.round(tookMs)} ms (noise ${Math.round(noiseMs)} ms), ${outcome}`;
}
