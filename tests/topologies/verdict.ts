import type { SlowCall } from "../faults/messages.ts";
import type { CountRow } from "../faults/verdict.ts";
import { LOGIN_RETRY_MS } from "../support/pgbouncer.ts";
import type { GatewayMessage, GatewayReport } from "./messages.ts";
import { MAX_STALENESS_MS, TIMEOUT_MS, type Topology } from "./topology.ts";

/** How late a call may be, in deadlines: less than the second one that it must not wait for. */
const GRACE = 0.5;

/** How soon after the new leader takes writes everything works again. */
const RECOVERY_MS = 2000;

/** How soon after that a cache agrees with the table: the bound, and the time of those who look. */
const AGREEMENT_MS = MAX_STALENESS_MS + 500;

/** How it went for one gateway. */
interface GatewayResult {
  name: string;
  events: Extract<GatewayMessage, { type: "outage" }>[];
  report: GatewayReport;
  code: number;
  errors: string;
}

/** A row of the log. */
interface ChangeRow {
  version: number;
  key: string;
  cause: string;
  from: string;
  to: string;
}

/** What the database holds in the end. */
export interface Stored {
  counts: CountRow[];
  changes: ChangeRow[];
}

/** How a fault went. */
export interface Result {
  topology: Topology;
  keepsLeader: boolean;
  /** Whether what was acknowledged in the phase of the fault is kept from the other nodes. */
  losesRecent: boolean;
  /** Whether sessions ended while their commits waited for another node. */
  endsWaitingCommits: boolean;
  /** From the fault until a plain client could write again. */
  outageMs: number;
  /** From then on until each gateway worked again. */
  recoveredMs: number[];
  /** From then on until each gateway answered from memory what the table has. */
  agreedMs: number[];
  /** Whether the force and the release of the phase of the fault were lost. */
  hasFollowedLoss: boolean;
  reports: GatewayResult[];
  stored: Stored;
}

/** All that did not go as promised. */
export function* problems(result: Result): Generator<string> {
  const { topology, losesRecent, hasFollowedLoss, reports, recoveredMs, agreedMs } = result;
  const recoveryMs = RECOVERY_MS + (topology.isPooled ? LOGIN_RETRY_MS : 0);
  for (const [index, gateway] of reports.entries()) {
    const own: string[] = [...gatewayProblems(gateway), ...watchProblems(gateway, result)];
    const recovered = recoveredMs[index]!;
    if (recovered > recoveryMs) own.push(`recovered after ${Math.round(recovered)} ms`);
    const agreed = agreedMs[index]!;
    if (agreed > AGREEMENT_MS) own.push(`its cache agreed after ${Math.round(agreed)} ms`);
    for (const problem of own) yield `${gateway.name}: ${problem}`;
  }
  if (hasFollowedLoss !== losesRecent) yield `what was done last was lost: ${hasFollowedLoss}`;
  const lost = lostOf(result);
  if (losesRecent && lost.length === 0) yield "no acknowledged call was lost, expected some";
  for (const { what, isAllowed } of lost) if (!isAllowed) yield `lost: ${what}`;
  yield* surplusProblems(result);
}

function* gatewayProblems({ report, code, errors, events }: GatewayResult): Generator<string> {
  if (code !== 0) yield `the process ended with ${code}: ${errors}`;
  for (const slow of report.slowest) {
    // The policy asks its store before a request and after it.
    const limit = (slow.call === "request" ? 2 : 1) * TIMEOUT_MS * (1 + GRACE);
    if (slow.tookMs > limit) yield `${describe(slow)}, more than ${limit} ms`;
  }
  const statuses = Object.keys(report.gateway);
  if (statuses.join() !== "200") yield `the gateway answered ${JSON.stringify(report.gateway)}`;
  for (const [label, { count, message }] of Object.entries(report.errors)) {
    const isOutage = label.startsWith("StoreUnavailableError") ||
      label.startsWith("StoreTimeoutError");
    if (!isOutage) yield `${count} times ${label}: ${message}`;
  }
  // While many programs come up on what may be two cores, an error is no verdict on the fault. After it,
  // everything works.
  const { errors: left, outages } = report.phases.after!;
  if (left + outages > 0) yield `${left} errors and ${outages} outages in phase after`;
  for (const [index, { isOut }] of events.entries()) {
    if (isOut !== (index % 2 === 0)) yield `outage event ${index} says ${isOut}`;
  }
  if (events.length % 2 !== 0) yield "an outage has no end";
  if (report.closing !== undefined) yield `closing failed: ${report.closing}`;
  yield* report.disorder.slice(0, 5);
}

/** The watch has delivered every change that the log has, once; or only those since it said otherwise. */
function* watchProblems({ report }: GatewayResult, result: Result): Generator<string> {
  // Another server is always noticed.
  if (report.breaks.length !== (result.keepsLeader ? 0 : 1)) {
    yield `the watch said of breaks: ${report.breaks.join("; ")}`;
  }
  const seen = new Map<string, number>();
  for (const [version, key] of report.watched) {
    const change = `${version} ${key}`;
    seen.set(change, (seen.get(change) ?? 0) + 1);
  }
  const isExact = !result.losesRecent;
  for (const { version, key, from, to } of result.stored.changes) {
    const count = seen.get(`${version} ${key}`) ?? 0;
    const isBound = from !== to && (isExact || key.includes(" after ") || key === "marker") &&
      !/^(followed|resting) (kept|released)/.test(key);
    if (isBound && count === 0) yield `the watch missed version ${version} of ${key}`;
    if (isExact && count > 1) yield `the watch delivered version ${version} of ${key} again`;
  }
}

interface Lost {
  what: string;
  isAllowed: boolean;
}

/** What the database acknowledged and does not have. */
function lostOf({ reports, stored, losesRecent, endsWaitingCommits }: Result): Lost[] {
  const lost: Lost[] = [];
  const isAllowed = (phase: string, gateway: string) =>
    phase === "during" && (losesRecent || endsWaitingCommits && acknowledgesEarly(gateway));
  const changes = new Set(stored.changes.map(({ cause, key }) => `${cause} ${key}`));
  const counts = new Map(stored.counts.map((row) => [row.key, row]));
  for (const { name, report } of reports) {
    for (const { act, key, phase } of report.acknowledged) {
      if (changes.has(`${act} ${key}`)) continue;
      lost.push({ what: `${act} ${key} in phase ${phase}`, isAllowed: isAllowed(phase, name) });
    }
    for (const phase of Object.keys(report.phases)) {
      for (const counter of ["failures", "successes"] as const) {
        // A success of a cache is counted later, and with rates at most once where that meets the fault.
        if (counter === "successes" && phase !== "after") continue;
        const key = `${name} ${phase} ${counter}`;
        const { acknowledged = 0 } = report.tallies[key]?.[counter] ?? {};
        const missing = acknowledged - (counts.get(key)?.[counter] ?? 0);
        if (missing <= 0) continue;
        lost.push({
          what: `${missing} of ${acknowledged} of ${key}`,
          isAllowed: isAllowed(phase, name),
        });
      }
    }
  }
  return lost;
}

/** postgres.js resolves a statement when the server calls it complete, which is before its commit. */
function acknowledgesEarly(gateway: string): boolean {
  return gateway.startsWith("postgres.js");
}

/** Nothing is counted that was not asked for, and nothing twice. */
function* surplusProblems({ reports, stored }: Result): Generator<string> {
  const counts = new Map(stored.counts.map((row) => [row.key, row]));
  for (const { report } of reports) {
    for (const [key, tally] of Object.entries(report.tallies)) {
      for (const counter of ["failures", "successes"] as const) {
        const most = tally[counter].acknowledged + tally[counter].unknown;
        const count = counts.get(key)?.[counter] ?? 0;
        if (count > most) yield `${key}: ${count} ${counter} of ${most}`;
      }
    }
  }
}

/** One line of the table of results. */
export function rowOf(topology: string, fault: string, result: Result): string {
  const { reports, outageMs, recoveredMs, agreedMs } = result;
  const sum = (of: (report: GatewayReport) => number) =>
    reports.reduce((total, { report }) => total + of(report), 0);
  const calls = sum(({ phases }) =>
    Object.values(phases).reduce((total, { answers }) => total + answers, 0)
  );
  const lost = lostOf(result);
  return [
    topology,
    fault,
    `no leader ${Math.round(outageMs)} ms`,
    `recovered ${Math.round(Math.max(...recoveredMs))} ms`,
    `agreed ${Math.round(Math.max(...agreedMs))} ms`,
    `${calls} calls`,
    `${sum(({ acknowledged }) => acknowledged.length)} acts`,
    `${sum(({ during }) => during.calls)} during outages`,
    `${reports.reduce((total, { events }) => total + events.length / 2, 0)} outages`,
    `${sum(({ watched }) => watched.length)} changes watched`,
    `lost ${lost.filter(({ isAllowed }) => !isAllowed).length} and ${
      lost.filter(({ isAllowed }) => isAllowed).length
    } ahead`,
  ].join(" | ");
}

function describe({ call, tookMs, noiseMs, outcome }: SlowCall): string {
  return `${call} took ${Math.round(tookMs)} ms (noise ${Math.round(noiseMs)} ms), ${outcome}`;
}
