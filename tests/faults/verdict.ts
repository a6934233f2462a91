import type { LoadReport, SlowCall } from "./messages.ts";
import type { Scenario } from "./scenario.ts";
import type { Player } from "./stage.ts";

/** How late a call may be, in deadlines: less than the second one that it must not wait for. */
const GRACE = 0.5;

/** How soon after the database is back everything works again. */
const RECOVERY_MS = 2000;

/** Calls in a known outage that may wait: those that joined what was in flight at its begin. */
const MOST_WAITING = 0.1;

/** A share of fewer calls than this says nothing. */
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
    const limit = (slow.call === "gateway" ? 2 : 1) * timeoutMs * (1 + GRACE);
    if (slow.tookMs > limit) yield `${describe(slow)}, more than ${limit} ms`;
  }
  if (recoveredAfterMs > RECOVERY_MS) yield `recovered after ${Math.round(recoveredAfterMs)} ms`;
  const { calls, waited } = report.during;
  if (calls >= LEAST_SAMPLE && waited > calls * MOST_WAITING) {
    yield `${waited} of ${calls} calls in a known outage waited for something`;
  }
  const statuses = Object.keys(report.gateway);
  if (statuses.join() !== "200") yield `the gateway answered ${JSON.stringify(report.gateway)}`;
  yield* errorProblems(report, mode === "throw", scenario);
  yield* outageProblems(result, scenario.outages);
  // At the start, eight programs and a server come up on what may be two cores: an error there is no
  // verdict on the fault. After it, everything works.
  const { errors: left, outages } = report.phases.after!;
  if (left + outages > 0) yield `${left} errors and ${outages} outages in phase after`;
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
        // A refresh whose outcome is unknown takes successes with it.
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
