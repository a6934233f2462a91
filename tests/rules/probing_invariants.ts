/** What must hold of a circuit's row from one step to the next, whatever a model says. */

import { assert, assertEquals } from "@std/assert";
import type { ModelRow, ModelRules } from "./probing_model.ts";

/** A row as the table has it. */
export interface TableRow extends Omit<ModelRow, "force" | "recent" | "tenths"> {
  forcedUntil: number | undefined;
  /** Changes with every write of the row. */
  written: string;
}

/** What was done between two looks at a row. */
export interface Step {
  name: string;
  /** By which states it may lead, as "from>to"; a new round is "half-open>half-open". */
  edges: readonly string[];
  /** How many requests were admitted as probes. */
  admitted: number;
  /** Whether it may write at all. */
  writes: boolean;
  /** Whether it may raise the version without a move. */
  forces?: boolean;
  /** Whether it may zero counters without a move. */
  zeroes?: boolean;
  /** Whether it leaves a row that holds nothing, where there was one. */
  blanks?: boolean;
}

export function assertInvariants(
  before: TableRow | undefined,
  after: TableRow | undefined,
  step: Step,
  now: number,
  rules: ModelRules,
): void {
  // A forced state that has ended by its time goes away when a call notices it, with a version.
  const isNoticed = before?.forcedUntil !== undefined && now >= before.forcedUntil &&
    after?.forcedUntil === undefined;
  if (!step.writes && !isNoticed) {
    assertEquals(after?.written, before?.written, "a call that may not write wrote");
  }
  if (after === undefined) {
    assert(before === undefined, "the row is gone");
    return;
  }
  const isProbing = after.state === "half-open";
  assert(after.probes <= rules.halfOpenMax, `${after.probes} probes`);
  assertEquals(after.probes > 0, isProbing, "probes without a round, or a round without probes");
  assertEquals(after.leaseEnd > 0, isProbing, "a lease without a round, or a round without one");

  const { version, state, lastChange, probes } = before ?? FRESH;
  assert(after.version >= version, `the version went from ${version} to ${after.version}`);
  if (step.blanks) {
    assertEquals([after.state, after.lastChange], ["closed", 0], "a row that is not blank");
    return;
  }
  // Where the clock has stepped back, a round can begin in the millisecond of the one before it.
  const isNextRound = isProbing && state === "half-open" && step.admitted > 0 && !isNoticed &&
    after.version > version;
  const moved = !step.forces &&
    (after.state !== state || after.lastChange !== lastChange || isNextRound);
  if (moved) {
    const edge = `${state}>${after.state}`;
    assert(step.edges.includes(edge), `moved ${edge}`);
    assertEquals(after.lastChange, now);
    assert(after.version > version, "moved without a version");
  } else {
    assertEquals([after.state, after.lastChange], [state, lastChange], "moved by a force");
    assertEquals(after.probes - probes, step.admitted, "probes admitted");
    const mayTake = isNoticed || step.forces || step.zeroes;
    assert(mayTake || after.version === version, "a version without a move");
  }
  if (moved && step.admitted > 0) {
    assertEquals(after.probes, step.admitted, "probes of a new round");
    assert(isRoundOver(before!, now, rules), "a round began while another was under way");
  }
}

function isRoundOver(
  { state, lastChange, leaseEnd, forcedUntil, openMs, settled }: TableRow,
  now: number,
  { resetTimeoutMs, halfOpenMax }: ModelRules,
): boolean {
  if (forcedUntil !== undefined && now < forcedUntil) return false;
  if (state === "open") return Math.abs(now - lastChange) >= (openMs || resetTimeoutMs);
  return lastChange - now >= resetTimeoutMs || now >= leaseEnd || settled >= halfOpenMax;
}

const FRESH = { version: 0, state: "closed", lastChange: 0, probes: 0 } as const;
