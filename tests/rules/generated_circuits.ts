/**
 * Circuits, rules and calls that fast-check generates. Numbers are described by what they lie beside
 * ("two less than the threshold", "the reset timeout before now"), so most of them are near a
 * boundary of the rules.
 */

import fc from "fast-check";
import { type Circuit, NO_DETAILS } from "../../src/circuit.ts";
import type { RateRules } from "../../src/options/rule_options.ts";
import type { CircuitRules, ProbingRules } from "../../src/options/store_options.ts";
import type { PermitOutcome } from "../../src/permit.ts";
import type { Counted } from "../../src/rules/counting.ts";
import { VOTE_STANDS_MS, type Voted } from "../../src/rules/voting.ts";
import { duration, MAX_MILLISECONDS, segmentsOf } from "./generated_segments.ts";
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
  probe_settled: number;
  probe_successes: number;
  reset_ms: number;
  failed_rounds: number;
  recent_failures: number[];
  failure_capacity: number;
  failure_segments: number[] | null;
  call_segments: number[] | null;
  suspect_at: number;
  forced_state: "open" | "closed" | null;
  forced_at: number | null;
  forced_until: number | null;
  vote_labels: string[] | null;
  vote_seen: number[] | null;
  voters: string[] | null;
  muted: string[] | null;
  refused_count: bigint;
}

/** What a rule is asked about a row. */
export interface Question {
  now: number;
  /** A state to move to. */
  to: CircuitState;
  /** Results to be added, and how many of them were slow. */
  added: number;
  slow: number;
  /** The round that a late result names. */
  version: number;
  since: number;
  /** For how long a round must have been due. */
  patience: number;
  /** A random number from 0 to below 1. */
  share: number;
  /** How a probe ended. */
  outcome: PermitOutcome;
  /** An instance. */
  label: string;
}

/** A row, and what is asked about it. */
export interface Case {
  row: Row;
  call: Question;
}

/** What the TypeScript forms read of a row. */
export type ReadCircuit = Circuit & Counted & Voted & {
  loggedState: CircuitState;
  probeSuccesses: number;
  failedRounds: number;
  refusedCount: number;
};

const MAX_THRESHOLD = 10_000;
const MAX_INTEGER = 2 ** 31 - 1;
const MAX_BIGINT = 2n ** 63n - 1n;

const nudge = fc.integer({ min: -2, max: 2 });

// Most are small: each window has as many failures at most, and they all go to the server.
const count = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 3, arbitrary: fc.integer({ min: 98, max: 103 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: MAX_THRESHOLD }) },
);

const backoff = fc.record({
  factor: fc.oneof(fc.constantFrom(1, 1.5, 2, 1000), fc.double({ min: 1, max: 3, noNaN: true })),
  // How far the longest timeout lies above the first.
  maxMs: fc.oneof(fc.constantFrom(0, 1, 5000, 300_000), fc.integer({ min: 0, max: 9e12 })),
  jitter: fc.oneof(fc.constantFrom(0, 0.25, 1), fc.double({ min: 0, max: 1, noNaN: true })),
});

const probing: fc.Arbitrary<ProbingRules> = fc.record({
  resetTimeoutMs: duration,
  halfOpenMax: count,
  probeTimeoutMs: duration,
  successThreshold: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1000 })),
  backoff: fc.option(backoff, { nil: undefined }),
  rampUpMs: fc.constant(undefined),
}).map(({ backoff, ...rest }) => ({
  ...rest,
  backoff: backoff && { ...backoff, maxMs: rest.resetTimeoutMs + backoff.maxMs },
}));

const share = fc.oneof(
  fc.constantFrom(0.07, 0.1, 0.29, 1 / 3, 0.5, 2 / 3, 1),
  fc.double({ min: 1e-6, max: 1, noNaN: true }),
);

const rates: fc.Arbitrary<RateRules> = fc.record({
  shares: fc.tuple(fc.option(share, { nil: undefined }), share, fc.boolean()),
  windowMs: duration,
  minimumThroughput: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 1000 })),
}).map(({ shares: [one, other, isSlow], ...rest }) => ({
  ...rest,
  failureRate: isSlow ? one : other,
  slowRate: isSlow ? other : one,
}));

/** Who opens circuits, and by which rates. */
const tripping = fc.oneof(
  fc.constant({ isByStore: false, rates: undefined }),
  fc.constant({ isByStore: true, rates: undefined }),
  rates.map((rates) => ({ isByStore: true, rates })),
).map((trip) => ({ trip, quorum: undefined, slowCallDurationMs: undefined }));

const counting = fc.oneof(
  fc.constant({ failureThreshold: undefined, failureWindowMs: undefined }),
  fc.record({ failureThreshold: count, failureWindowMs: fc.option(duration, { nil: undefined }) }),
);

/** Every kind of rules. A window is only allowed beside a threshold, as in the options. */
export const anyRules: fc.Arbitrary<CircuitRules> = fc
  .tuple(fc.option(probing, { nil: undefined }), counting, tripping)
  .map(([probing, rest, tripping]) => ({ ...tripping, probing, ...rest }));

/** Rules of a store that probes. */
export const probingRules: fc.Arbitrary<CircuitRules & { probing: ProbingRules }> = fc
  .tuple(probing, counting, tripping)
  .map(([probing, rest, tripping]) => ({ ...tripping, probing, ...rest }));

/** Rules of a store that counts the failures of a window. */
export const windowRules: fc.Arbitrary<CircuitRules & { failureWindowMs: number }> = fc
  .tuple(fc.option(probing, { nil: undefined }), count, duration, tripping)
  .map(([probing, failureThreshold, failureWindowMs, tripping]) => ({
    ...tripping,
    probing,
    failureThreshold,
    failureWindowMs,
  }));

/** Rules of a store that opens circuits by rates. */
export const rateRules: fc.Arbitrary<CircuitRules & { rates: RateRules }> = fc
  .tuple(anyRules, rates)
  .map(([rules, rates]) => ({ ...rules, trip: { isByStore: true, rates }, rates }));

/** A time by its distance from now. */
type Moment = (rules: CircuitRules, now: number) => number;

const moment: fc.Arbitrary<Moment> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(
      fc.constantFrom("now", "reset", "lease", "window", "rates", "half"),
      fc.constantFrom(-1, 1),
      nudge,
    ).map(([name, sign, nudge]): Moment => (rules, now) => {
      const { probing, failureWindowMs = 0, trip: { rates } } = rules;
      const { resetTimeoutMs = 0, probeTimeoutMs = 0 } = probing ?? {};
      const distance = {
        now: 0,
        reset: resetTimeoutMs,
        lease: probeTimeoutMs,
        window: failureWindowMs,
        rates: rates?.windowMs ?? 0,
        half: Math.floor((rates?.windowMs ?? 0) / 2),
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

/** Successes of probes by what they lie beside. */
const successes = fc.oneof(
  fc.tuple(fc.constantFrom("halfOpenMax", "successThreshold"), nudge).map(
    ([name, nudge]) => ({ probing }: CircuitRules) =>
      Math.max(0, (probing?.[name as "halfOpenMax" | "successThreshold"] ?? 2) + nudge),
  ),
  fc.integer({ min: 0, max: MAX_INTEGER - 1 }).map((any) => () => any),
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
    arbitrary: fc.tuple(fc.integer({ min: 96, max: 104 }), moment, nudge).map(
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

/** Labels of instances: few, so that they meet, in no order of the alphabet, with one beyond ASCII. */
const LABELS = ["b", "a", "gateway-2", "gateway-10", "\u{1f600}", "\uffee", ""];

const labels = fc.option(fc.uniqueArray(fc.constantFrom(...LABELS)));

/** As many votes as a row keeps and more, seen about when a vote ends. */
const votes = fc.option(
  fc.oneof(
    { weight: 4, arbitrary: fc.uniqueArray(fc.constantFrom(...LABELS)) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 14, max: 18 }).map((length) =>
        Array.from({ length }, (_, place) => `gateway-${place}`)
      ),
    },
  ).chain((voters) =>
    fc.array(
      fc.tuple(fc.constantFrom(-1, 0, 0, 1), nudge).map(([sign, nudge]) =>
        sign * VOTE_STANDS_MS + nudge
      ),
      { minLength: voters.length, maxLength: voters.length },
    ).map((seen) => ({ labels: voters, seen }))
  ),
);

/** More muted instances than a row keeps. */
const muted = fc.oneof(
  { weight: 4, arbitrary: labels },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 30, max: 34 }).map((length) =>
      Array.from({ length }, (_, place) => `gateway-${place}`)
    ),
  },
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
  failureCapacity: fc.constantFrom(0, 1, 2, 3, 5, 99, 100),
  failureSegments: segmentsOf(1, (rules) => rules.failureWindowMs),
  callSegments: segmentsOf(3, (rules) => rules.trip.rates?.windowMs),
  suspectAt: moment,
  slow: fc.integer({ min: 0, max: 3 }),
  forcedState: fc.constantFrom(null, "open" as const, "closed" as const),
  forcedUntil: fc.option(moment),
  to: fc.constantFrom(...CIRCUIT_STATES),
  added,
  zeroedStep: fc.constantFrom(0, 0, -1, 1, 2, -2),
  openedAt: moment,
  loggedState: fc.constantFrom(...CIRCUIT_STATES),
  versionStep: fc.constantFrom(0, 0, -1, 1, 2, -2),
  isSameSince: fc.boolean(),
  probeSettled: successes,
  probeSuccesses: successes,
  resetMs: fc.oneof(fc.constant(0), duration),
  failedRounds: fc.oneof(fc.nat({ max: 12 }), fc.integer({ min: 0, max: MAX_INTEGER })),
  patience: fc.oneof(fc.constant(0), duration),
  share: fc.nat({ max: 2 ** 31 - 1 }).map((part) => part / 2 ** 31),
  outcome: fc.constantFrom<PermitOutcome[]>("success", "failure", "ignored"),
  otherSince: moment,
  isLater: fc.boolean(),
  votes,
  voters: labels,
  muted,
  refused: counter,
  label: fc.constantFrom(...LABELS),
}).map((drafted): Draft => (rules) => {
  const { now } = drafted;
  // A boundary that patience moves.
  const laterMs = drafted.isLater ? drafted.patience : 0;
  // A boundary of a row's own reset timeout.
  const resetMs = drafted.resetMs === 0 || rules.probing === undefined
    ? 0
    : drafted.resetMs - rules.probing.resetTimeoutMs;
  const row: Row = {
    state: drafted.state,
    failure_count: drafted.failures(rules),
    success_count: drafted.successes(rules),
    last_state_change: drafted.lastStateChange(rules, now) -
      (drafted.isLater ? laterMs + resetMs : 0),
    version: drafted.version,
    zeroed_version: Math.max(0, drafted.version + drafted.zeroedStep),
    opened_at: Math.max(0, drafted.openedAt(rules, now)),
    logged_state: drafted.loggedState,
    probe_count: drafted.probeCount(rules),
    probe_expires_at: drafted.probeExpiresAt(rules, now) - laterMs,
    probe_settled: drafted.probeSettled(rules),
    probe_successes: drafted.probeSuccesses(rules),
    reset_ms: drafted.resetMs,
    failed_rounds: drafted.failedRounds,
    recent_failures: drafted.recentFailures(rules, now),
    failure_capacity: drafted.failureCapacity,
    failure_segments: drafted.failureSegments(rules, now),
    call_segments: drafted.callSegments(rules, now),
    suspect_at: Math.max(0, drafted.suspectAt(rules, now)),
    forced_state: drafted.forcedState,
    forced_at: drafted.forcedState && now,
    forced_until: drafted.forcedUntil && drafted.forcedUntil(rules, now),
    vote_labels: drafted.votes && drafted.votes.labels,
    vote_seen: drafted.votes && drafted.votes.seen.map((distance) => now + distance),
    voters: drafted.voters,
    muted: drafted.muted,
    refused_count: drafted.refused(rules),
  };
  const call: Question = {
    now,
    to: drafted.to,
    added: drafted.added,
    slow: drafted.slow,
    version: drafted.version + drafted.versionStep,
    patience: drafted.patience,
    share: drafted.share,
    outcome: drafted.outcome,
    since: drafted.isSameSince ? row.last_state_change : drafted.otherSince(rules, now),
    label: drafted.label,
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
    details: {
      ...NO_DETAILS,
      probeSettled: row.probe_settled,
      resetMs: row.reset_ms,
      suspectAt: row.suspect_at,
    },
    probeSuccesses: row.probe_successes,
    failedRounds: row.failed_rounds,
    readAt: now,
    recentFailures: row.recent_failures,
    failureCapacity: row.failure_capacity,
    failureSegments: row.failure_segments ?? undefined,
    callSegments: row.call_segments ?? undefined,
    votes: (row.vote_labels ?? []).map((label, i) => ({ label, seenAt: row.vote_seen![i]! })),
    voters: row.voters ?? [],
    muted: row.muted ?? [],
    refusedCount: readCount(row.refused_count),
  };
}

/** A counter as a statement's answer is read. */
export function readCount(count: bigint | number): number {
  return Math.min(Number(count), MAX_COUNT);
}
