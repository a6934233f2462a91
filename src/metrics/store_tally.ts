import type { OwnChange, StatementEvent, StatementKind, StoreObserver } from "../ports.ts";
import type { PermitOutcome } from "../permit.ts";
import { CIRCUIT_STATES, type CircuitState } from "../types.ts";
import { ByKey, OTHER_KEYS } from "./by_key.ts";
import {
  BUCKETS,
  type Distribution,
  type Family,
  type Point,
  STORE_FAMILIES,
  type Tally,
} from "./families.ts";
import type { StoreGauges } from "./observation.ts";

/** What one circuit did. */
class KeyCounts {
  success = 0;
  failure = 0;
  ignored = 0;
  admitted = 0;
  refused = 0;
  probes = 0;
  votes = 0;
  state: CircuitState | undefined;
  /** Whether it was used since the last reading, and when that was for the last time. */
  isUsed = false;
  usedAt = -Infinity;
  /** By the state after it and the cause. */
  readonly transitions: Map<string, { to: string; cause: string; count: number }> = new Map();
}

/** What the statements of one kind did. */
class KindCounts {
  readonly buckets: number[] = BUCKETS.map(() => 0).concat(0);
  sum = 0;
  count = 0;
  calls = 0;
  /** By the class of the error. */
  readonly errors: Map<string, number> = new Map();
}

const OUTCOMES: readonly PermitOutcome[] = ["success", "failure", "ignored"];

/**
 * For how long the state of a circuit is shown after its last use, in milliseconds. An instance without traffic
 * for a circuit does not learn that it has closed, and must not keep an alert alive.
 */
const STATE_KNOWN_MS = 300_000;

/** Causes of rows of the log that are no changes of a state. */
const HIDDEN: readonly string[] = ["suspect", "zeroed", "round"];

/** Adds up what a store does. A call costs a look-up by its key and an addition. */
export class StoreTally implements StoreObserver, Tally {
  readonly families: readonly Family[] = Object.values(STORE_FAMILIES);
  readonly #keys: ByKey<KeyCounts>;
  readonly #kinds = new Map<StatementKind, KindCounts>();
  readonly #gauges: StoreGauges;
  readonly #clock: () => number;

  /** `clock` only goes on, in milliseconds. */
  constructor(gauges: StoreGauges, maxKeys: number, clock: () => number = () => performance.now()) {
    this.#gauges = gauges;
    this.#clock = clock;
    this.#keys = new ByKey(maxKeys, () => new KeyCounts());
  }

  onAdmitted(key: string, isProbe: boolean): void {
    const counts = this.#keys.of(key);
    counts.admitted++;
    if (isProbe) counts.probes++;
    counts.state = isProbe ? "half-open" : "closed";
    counts.isUsed = true;
  }

  onRefused(key: string, state: CircuitState): void {
    const counts = this.#keys.of(key);
    counts.refused++;
    counts.state = state;
    counts.isUsed = true;
  }

  onResult(key: string, outcome: PermitOutcome): void {
    const counts = this.#keys.of(key);
    // Named one by one: a look-up by name costs as much as the rest.
    if (outcome === "success") counts.success++;
    else if (outcome === "failure") counts.failure++;
    else counts.ignored++;
  }

  onChange({ key, from, to, cause }: OwnChange): void {
    if (HIDDEN.includes(cause)) return;
    const counts = this.#keys.of(key);
    counts.state = to;
    counts.isUsed = true;
    if (cause === "vote") counts.votes++;
    if (from === to) return;
    const name = `${to} ${cause}`;
    const known = counts.transitions.get(name);
    if (known === undefined) counts.transitions.set(name, { to, cause, count: 1 });
    else known.count++;
  }

  onStatement({ kind, calls, ms, error }: StatementEvent): void {
    let counts = this.#kinds.get(kind);
    if (counts === undefined) this.#kinds.set(kind, counts = new KindCounts());
    const seconds = ms / 1000;
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
    counts.buckets[bucket === -1 ? BUCKETS.length : bucket]!++;
    counts.sum += seconds;
    counts.count++;
    counts.calls += calls;
    if (error !== undefined) {
      const name = errorTypeOf(error);
      counts.errors.set(name, (counts.errors.get(name) ?? 0) + 1);
    }
  }

  points(): Point[] {
    const { results, admitted, refused, probes, state, transitions, votes } = STORE_FAMILIES;
    const { statementCalls, errors, cacheAge, pending, outage } = STORE_FAMILIES;
    const points: Point[] = [];
    const now = this.#clock();
    for (const [key, counts] of this.#keys.entries()) {
      for (const outcome of OUTCOMES) {
        const value = counts[outcome];
        if (value > 0) points.push({ family: results, labels: { key, outcome }, value });
      }
      points.push({ family: admitted, labels: { key }, value: counts.admitted });
      points.push({ family: refused, labels: { key }, value: counts.refused });
      if (counts.probes > 0) points.push({ family: probes, labels: { key }, value: counts.probes });
      if (counts.votes > 0) points.push({ family: votes, labels: { key }, value: counts.votes });
      for (const { to, cause, count } of counts.transitions.values()) {
        points.push({ family: transitions, labels: { key, to, cause }, value: count });
      }
      if (counts.isUsed) counts.usedAt = now;
      counts.isUsed = false;
      // The keys that share a label are in no one state.
      if (key === OTHER_KEYS || now - counts.usedAt > STATE_KNOWN_MS) continue;
      for (const each of CIRCUIT_STATES) {
        const value = each === counts.state ? 1 : 0;
        points.push({ family: state, labels: { key, state: each }, value });
      }
    }
    for (const [kind, counts] of this.#kinds) {
      points.push({ family: statementCalls, labels: { kind }, value: counts.calls });
      for (const [error, value] of counts.errors) {
        points.push({ family: errors, labels: { kind, error }, value });
      }
    }
    const { isOut, cacheAgeMs, pendingSuccesses, pendingRefusals } = this.#gauges;
    points.push({ family: outage, labels: {}, value: isOut() ? 1 : 0 });
    points.push({ family: pending, labels: { outcome: "success" }, value: pendingSuccesses() });
    points.push({ family: pending, labels: { outcome: "refused" }, value: pendingRefusals() });
    const ageMs = cacheAgeMs();
    if (ageMs !== undefined) points.push({ family: cacheAge, labels: {}, value: ageMs / 1000 });
    return points;
  }

  distributions(): Distribution[] {
    return Array.from(this.#kinds, ([kind, { buckets, sum, count }]) => ({
      labels: { kind },
      buckets,
      sum,
      count,
    }));
  }
}

/** The class of an error, as a label: errors of the store have few. */
export function errorTypeOf(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  return /^[A-Za-z]{1,60}$/.test(name) ? name : "Error";
}
