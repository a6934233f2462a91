import {
  ABSENT_CIRCUIT,
  type Circuit,
  type Circuits,
  type ClaimResult,
  type Deferred,
  type Refreshed,
  type Round,
} from "./circuit.ts";
import type { Force } from "../options/force.ts";
import { forcedAt, isCounted, isRoundDue, vacantProbes } from "./probing.ts";
import { compareKeys } from "../key.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import { type CircuitState, MAX_COUNT } from "../types.ts";
import { keepLast } from "../keep_last.ts";

interface Kept extends Omit<Circuit, "key" | "readAt"> {
  /** When anything was last recorded, moved or forced. */
  updatedAt: number;
  /** When failures were recorded, where only those of a window count. */
  recentFailures: number[];
}

/** What a map of circuits begins with, and where it ends. */
export interface MemoryBounds {
  /** Circuits as they are known from elsewhere: taken over when they are first used. */
  known: ReadonlyMap<string, Circuit>;
  /** How many circuits are kept; the one whose first use is longest ago goes first. */
  capacity: number;
}

/** Circuits in a map: what the statements on the table are held to. */
export class MemoryCircuits implements Circuits {
  readonly #kept = new Map<string, Kept>();
  readonly #rules: CircuitRules;
  readonly #now: () => number;
  readonly #bounds: MemoryBounds | undefined;

  constructor(rules: CircuitRules, now: () => number, bounds?: MemoryBounds) {
    this.#rules = rules;
    this.#bounds = bounds;
    this.#now = () => Math.floor(now());
  }

  // deno-lint-ignore require-await
  async read(key: string): Promise<Circuit | undefined> {
    const kept = this.#find(key);
    return kept && this.#shown(key, kept);
  }

  // deno-lint-ignore require-await
  async readMany(keys: readonly string[]): Promise<Circuit[]> {
    return keys.flatMap((key) => {
      const kept = this.#find(key);
      return kept === undefined ? [] : [this.#shown(key, kept)];
    });
  }

  // deno-lint-ignore require-await
  async recordSuccess(key: string): Promise<Circuit> {
    const kept = this.#keep(key);
    kept.successCount = Math.min(kept.successCount + 1, MAX_COUNT);
    kept.updatedAt = this.#now();
    return this.#shown(key, kept);
  }

  // deno-lint-ignore require-await
  async recordFailure(key: string): Promise<Circuit> {
    const kept = this.#keep(key);
    kept.failureCount = Math.min(kept.failureCount + 1, MAX_COUNT);
    kept.lastFailureTime = kept.updatedAt = this.#now();
    if (this.#rules.failureWindowMs !== undefined) {
      const capacity = Math.max(this.#rules.failureThreshold ?? 1, 1000);
      kept.recentFailures = [...this.#inWindow(kept), kept.lastFailureTime]
        .sort((a, b) => b - a).slice(0, capacity);
    }
    return this.#shown(key, kept);
  }

  // deno-lint-ignore require-await
  async transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    if (to === "closed" && this.#find(key) === undefined) return undefined;
    const kept = this.#keep(key);
    const isStraggler = this.#rules.probing !== undefined && to === "open" &&
      kept.state !== "closed";
    if (kept.state !== to && !isStraggler && !this.#isForced(kept)) this.#move(kept, to);
    return this.#shown(key, kept);
  }

  // deno-lint-ignore require-await
  async claim(key: string): Promise<ClaimResult | undefined> {
    const kept = this.#find(key);
    if (kept === undefined) return undefined;
    const now = this.#now();
    const probing = this.#rules.probing!;
    const isAdmitted = !this.#isForced(kept) && vacantProbes(kept, now, probing) > 0;
    if (isAdmitted) {
      if (isRoundDue(kept, now, probing)) this.#move(kept, "half-open");
      else kept.probeCount++;
      kept.probeExpiresAt = now + probing.probeTimeoutMs;
      kept.updatedAt = now;
    }
    return { circuit: this.#shown(key, kept), isAdmitted };
  }

  // deno-lint-ignore require-await
  async settle(key: string, to: CircuitState, round: Round): Promise<Circuit | undefined> {
    const kept = this.#find(key);
    if (kept === undefined) return undefined;
    const isCurrent = kept.state === "half-open" && kept.version === round.version &&
      kept.lastStateChange === round.lastStateChange;
    const isDueToOpen = to === "open" && kept.state === "closed" &&
      this.#countOf(kept) >= (this.#rules.failureThreshold ?? Infinity);
    if ((isCurrent || isDueToOpen) && !this.#isForced(kept)) this.#move(kept, to);
    return this.#shown(key, kept);
  }

  // deno-lint-ignore require-await
  async force(key: string, force: Force | undefined): Promise<Circuit | undefined> {
    if (force === undefined && this.#find(key) === undefined) return undefined;
    const kept = this.#keep(key);
    const now = this.#now();
    if (force !== undefined || this.#isForced(kept)) {
      kept.version++;
      kept.updatedAt = now;
    }
    kept.forced = force && {
      state: force.state,
      at: now,
      until: force.forMs === undefined ? undefined : now + force.forMs,
      reason: force.reason,
    };
    return this.#shown(key, kept);
  }

  // deno-lint-ignore require-await
  async reset(key: string): Promise<void> {
    this.#kept.delete(key);
  }

  // deno-lint-ignore require-await
  async list({ state, after, limit }: ResolvedListOptions): Promise<Circuit[]> {
    return Array.from(this.#kept, ([key, kept]) => this.#shown(key, kept))
      .filter((each) =>
        state === undefined || (forcedAt(each.forced, each.readAt)?.state ?? each.state) === state
      )
      .filter((each) => after === undefined || compareKeys(each.key, after) > 0)
      .sort((a, b) => compareKeys(a.key, b.key))
      .slice(0, limit);
  }

  // deno-lint-ignore require-await
  async prune(idleMs: number, limit: number): Promise<number> {
    const since = this.#now() - idleMs;
    const idle = Array.from(this.#kept).filter(([, kept]) =>
      kept.state === "closed" && !this.#isForced(kept) && kept.updatedAt < since
    ).slice(0, limit);
    for (const [key] of idle) this.#kept.delete(key);
    return idle.length;
  }

  async refresh(keys: readonly string[], deferred: readonly Deferred[]): Promise<Refreshed[]> {
    for (const { key, successes, version } of deferred) {
      const isNew = this.#find(key) === undefined;
      const kept = this.#keep(key);
      if (isNew) kept.version = version;
      if (!isCounted(version, this.#shown(key, kept))) continue;
      kept.successCount = Math.min(kept.successCount + successes, MAX_COUNT);
      kept.updatedAt = this.#now();
    }
    const counted = new Set(deferred.map(({ key }) => key));
    const circuits = await this.readMany([...keys, ...counted]);
    return circuits.map((circuit) => ({ ...circuit, isCounted: counted.has(circuit.key) }));
  }

  async check(): Promise<void> {}

  #find(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const known = this.#bounds?.known.get(key);
    if (known === undefined) return undefined;
    // Of a window, only the count is known elsewhere: as if all had failed at the last failure.
    const failures = this.#rules.failureWindowMs === undefined ? 0 : known.failureCount;
    return this.#add(key, {
      ...known,
      recentFailures: Array.from({ length: failures }, () => known.lastFailureTime),
      updatedAt: this.#now(),
    });
  }

  #keep(key: string): Kept {
    return this.#find(key) ??
      this.#add(key, { ...ABSENT_CIRCUIT, recentFailures: [], updatedAt: 0 });
  }

  #add(key: string, kept: Kept): Kept {
    keepLast(this.#kept, key, kept, this.#bounds?.capacity ?? Infinity);
    return kept;
  }

  /** A real change of state, or a new round of probes. */
  #move(kept: Kept, to: CircuitState): void {
    const now = this.#now();
    kept.state = to;
    kept.lastStateChange = kept.updatedAt = now;
    kept.version++;
    if (to !== "open") kept.successCount = 0;
    if (to === "closed") {
      kept.failureCount = 0;
      kept.recentFailures = [];
    }
    const { probing } = this.#rules;
    const isRound = to === "half-open" && probing !== undefined;
    kept.probeCount = isRound ? 1 : 0;
    kept.probeExpiresAt = isRound ? now + probing.probeTimeoutMs : 0;
  }

  #isForced(kept: Kept): boolean {
    return forcedAt(kept.forced, this.#now()) !== undefined;
  }

  #inWindow(kept: Kept): number[] {
    const now = this.#now();
    return kept.recentFailures.filter((at) => Math.abs(now - at) < this.#rules.failureWindowMs!);
  }

  #countOf(kept: Kept): number {
    return this.#rules.failureWindowMs === undefined
      ? kept.failureCount
      : this.#inWindow(kept).length;
  }

  #shown(key: string, kept: Kept): Circuit {
    return { ...kept, key, failureCount: this.#countOf(kept), readAt: this.#now() };
  }
}
