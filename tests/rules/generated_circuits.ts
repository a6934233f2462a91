/**
 * Circuits, rules and calls that fast-check generates. Numbers are described by what they lie beside
 * ("two less than the threshold", "the reset timeout before now"), so most of them are near a
 * boundary of the rules.
 */

import fc from "fast-check";
import type { Circuit } from "../../src/circuit.ts";
import type { CircuitRules, ProbingRules } from "../../src/options/store_options.ts";
import type { Counted } from "../../src/rules/counting.ts";
import { CIRCUIT_STATES, type CircuitState, MAX_COUNT } from "../../src/types.ts";

/** A row of the table, by the columns that the rules read. A bigint is what a number may not hold. */
export interface Row {
  state: string;
  failure_count: bigint;
  success_count: bigint;
  last_state_change: number;
  version: number;
  zeroed_version: number;
  opened_at: number;
  logged_state: CircuitState;
  probe_count: number;
  probe_expires_at: number;
  recent_failures: number[];
  forced_state: "open" | "closed" | null;
  forced_at: number | null;
  forced_until: number | null;
}

/** What a rule is asked about a row. */
export interface Question {
  now: number;
  /** A state to move to. */
  to: CircuitState;
  /** Results to be added. */
  added: number;
  /** The round that a late result names. */
  version: number;
  since: number;
}

/** A row, and what is asked about it. */
export interface Case {
  row: Row;
  call: Question;
}

/** What the TypeScript forms read of a row. */
export type ReadCircuit = Circuit & Counted & { loggedState: CircuitState };

const MAX_MILLISECONDS = 9e12;
const MAX_THRESHOLD = 10_000;
const MAX_INTEGER = 2 ** 31 - 1;
const MAX_BIGINT = 2n ** 63n - 1n;

const nudge = fc.integer({ min: -2, max: 2 });

const duration = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.constantFrom(300, 700, 3000, 10_000),
  fc.integer({ min: 1, max: MAX_MILLISECONDS }),
);

// Most are small: each window has as many failures at most, and they all go to the server.
const count = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 3, arbitrary: fc.integer({ min: 995, max: 1005 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: MAX_THRESHOLD }) },
);

const probing: fc.Arbitrary<ProbingRules> = fc.record({
  resetTimeoutMs: duration,
  halfOpenMax: count,
  probeTimeoutMs: duration,
});

const counting = fc.oneof(
  fc.constant({ failureThreshold: undefined, failureWindowMs: undefined }),
  fc.record({ failureThreshold: count, failureWindowMs: fc.option(duration, { nil: undefined }) }),
);

/** Every kind of rules. A window is only allowed beside a threshold, as in the options. */
export const anyRules: fc.Arbitrary<CircuitRules> = fc
  .tuple(fc.option(probing, { nil: undefined }), counting)
  .map(([probing, rest]) => ({ probing, ...rest }));

/** Rules of a store that probes. */
export const probingRules: fc.Arbitrary<CircuitRules & { probing: ProbingRules }> = fc
  .tuple(probing, counting)
  .map(([probing, rest]) => ({ probing, ...rest }));

/** Rules of a store that counts the failures of a window. */
export const windowRules: fc.Arbitrary<CircuitRules> = fc
  .tuple(fc.option(probing, { nil: undefined }), count, duration)
  .map(([probing, failureThreshold, failureWindowMs]) => ({
    probing,
    failureThreshold,
    failureWindowMs,
  }));

/** A time by its distance from now. */
type Moment = (rules: CircuitRules, now: number) => number;

const moment: fc.Arbitrary<Moment> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(
      fc.constantFrom("now", "reset", "lease", "window"),
      fc.constantFrom(-1, 1),
      nudge,
    ).map(([name, sign, nudge]): Moment => (rules, now) => {
      const { probing, failureWindowMs = 0 } = rules;
      const { resetTimeoutMs = 0, probeTimeoutMs = 0 } = probing ?? {};
      const distance = {
        now: 0,
        reset: resetTimeoutMs,
        lease: probeTimeoutMs,
        window: failureWindowMs,
      }[name]!;
      return now + sign * distance + nudge;
    }),
  },
  fc.constant(() => 0),
  fc.integer({ min: -MAX_MILLISECONDS, max: MAX_MILLISECONDS }).map(
    (distance): Moment => (_, now) => now + distance,
  ),
);

/** A counter by what it lies beside. */
type Count = (rules: CircuitRules) => bigint;

const counter: fc.Arbitrary<Count> = fc.oneof(
  fc.bigInt({ min: 0n, max: 3n }).map((small): Count => () => small),
  nudge.map((nudge): Count => ({ failureThreshold = 2 }) => {
    const near = failureThreshold + nudge;
    return BigInt(Math.max(0, near));
  }),
  nudge.map((nudge): Count => () => BigInt(MAX_COUNT) + BigInt(nudge)),
  fc.bigInt({ min: 0n, max: 3n }).map((below): Count => () => MAX_BIGINT - below),
  fc.bigInt({ min: 0n, max: MAX_BIGINT }).map((any): Count => () => any),
);

const probes = fc.oneof(
  nudge.map((nudge) => ({ probing }: CircuitRules) =>
    Math.max(0, (probing?.halfOpenMax ?? 2) + nudge)
  ),
  fc.integer({ min: 0, max: MAX_INTEGER }).map((any) => () => any),
);

type Moments = (rules: CircuitRules, now: number) => number[];

/** A few times, or about as many as a row remembers, from one moment on backwards or forwards. */
const failureTimes: fc.Arbitrary<Moments> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.array(moment, { maxLength: 7 }).map((moments): Moments => (rules, now) =>
      moments.map((moment) => moment(rules, now))
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.integer({ min: 990, max: 1005 }), moment, nudge).map(
      ([length, first, step]): Moments => (rules, now) => {
        const from = first(rules, now);
        return Array.from({ length }, (_, place) => from - place * step);
      },
    ),
  },
);

/** States as the table may hold them: ours, and those of another release or written by hand. */
const state = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...CIRCUIT_STATES) },
  fc.constantFrom("", "OPEN", "Closed", "half_open", "half-open ", "forced", "constructor"),
  fc.string({ maxLength: 12 }).map((text) => text.replaceAll("\0", "")),
);

const added = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 1, arbitrary: fc.integer({ min: 995, max: 1005 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: MAX_COUNT }) },
);

/** A case that waits for the rules it lies beside. */
type Draft = (rules: CircuitRules) => Case;

const draft: fc.Arbitrary<Draft> = fc.record({
  now: fc.oneof(fc.constantFrom(0, 1000), fc.integer({ min: 1.7e12, max: 2e12 })),
  state,
  failures: counter,
  successes: counter,
  lastStateChange: moment,
  version: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: MAX_COUNT - 2 })),
  probeCount: probes,
  probeExpiresAt: moment,
  recentFailures: failureTimes,
  forcedState: fc.constantFrom(null, "open" as const, "closed" as const),
  forcedUntil: fc.option(moment),
  to: fc.constantFrom(...CIRCUIT_STATES),
  added,
  zeroedStep: fc.constantFrom(0, 0, -1, 1, 2, -2),
  openedAt: moment,
  loggedState: fc.constantFrom(...CIRCUIT_STATES),
  versionStep: fc.constantFrom(0, 0, -1, 1, 2, -2),
  isSameSince: fc.boolean(),
  otherSince: moment,
}).map((drafted): Draft => (rules) => {
  const { now } = drafted;
  const row: Row = {
    state: drafted.state,
    failure_count: drafted.failures(rules),
    success_count: drafted.successes(rules),
    last_state_change: drafted.lastStateChange(rules, now),
    version: drafted.version,
    zeroed_version: Math.max(0, drafted.version + drafted.zeroedStep),
    opened_at: Math.max(0, drafted.openedAt(rules, now)),
    logged_state: drafted.loggedState,
    probe_count: drafted.probeCount(rules),
    probe_expires_at: drafted.probeExpiresAt(rules, now),
    recent_failures: drafted.recentFailures(rules, now),
    forced_state: drafted.forcedState,
    forced_at: drafted.forcedState && now,
    forced_until: drafted.forcedUntil && drafted.forcedUntil(rules, now),
  };
  const call: Question = {
    now,
    to: drafted.to,
    added: drafted.added,
    version: drafted.version + drafted.versionStep,
    since: drafted.isSameSince ? row.last_state_change : drafted.otherSince(rules, now),
  };
  return { row, call };
});

/** Rules, and cases under them up to a number. */
export function casesUnder<Rules extends CircuitRules>(
  rules: fc.Arbitrary<Rules>,
  atMost: number,
): fc.Arbitrary<[rules: Rules, cases: Case[]]> {
  const drafts = fc.array(draft, { minLength: 1, maxLength: atMost, size: "max" });
  return fc.tuple(rules, drafts).map(([rules, drafts]) => [
    rules,
    drafts.map((draft) => draft(rules)),
  ]);
}

/** A row as a statement's answer is read: unknown states are closed, counters end at `MAX_COUNT`. */
export function readRow(row: Row, now: number): ReadCircuit {
  return {
    key: "generated",
    state: CIRCUIT_STATES.find((known) => known === row.state) ?? "closed",
    failureCount: readCount(row.failure_count),
    successCount: readCount(row.success_count),
    lastFailureTime: 0,
    lastStateChange: row.last_state_change,
    version: row.version,
    zeroedVersion: row.zeroed_version,
    openedAt: row.opened_at,
    loggedState: row.logged_state,
    probeCount: row.probe_count,
    probeExpiresAt: row.probe_expires_at,
    forced: row.forced_state === null ? undefined : {
      state: row.forced_state,
      at: row.forced_at!,
      until: row.forced_until ?? undefined,
      reason: undefined,
      by: undefined,
    },
    readAt: now,
    recentFailures: row.recent_failures,
  };
}

/** A counter as a statement's answer is read. */
export function readCount(count: bigint | number): number {
  return Math.min(Number(count), MAX_COUNT);
}
