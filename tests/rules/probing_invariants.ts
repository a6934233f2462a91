/** What must hold of a circuit's row from one step to the next, whatever a model says. */

import { assert, assertEquals } from "@std/assert";
import type { ModelRow, ModelRules } from "./probing_model.ts";

/** A row as the table has it. */
export interface TableRow extends Omit<ModelRow, "force" | "recent"> {
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
  /** Whether it may delete the row. */
  deletes?: boolean;
}

export function assertInvariants(
  before: TableRow | undefined,
  after: TableRow | undefined,
  step: Step,
  now: number,
  rules: ModelRules,
): void {
  if (!step.writes) {
    assertEquals(after?.written, before?.written, "a call that may not write wrote");
  }
  if (after === undefined) {
    assert(before === undefined || step.deletes, "the row is gone");
    return;
  }
  const isProbing = after.state === "half-open";
  assert(after.probes <= rules.halfOpenMax, `${after.probes} probes`);
  assertEquals(after.probes > 0, isProbing, "probes without a round, or a round without probes");
  assertEquals(after.leaseEnd > 0, isProbing, "a lease without a round, or a round without one");

  const { version, state, lastChange, probes } = before ?? FRESH;
  const steps = after.version - version;
  assert(steps === 0 || steps === 1, `the version went from ${version} to ${after.version}`);
  const moved = steps === 1 && !step.forces;
  if (moved) {
    const edge = `${state}>${after.state}`;
    assert(step.edges.includes(edge), `moved ${edge}`);
    assertEquals(after.lastChange, now);
  } else {
    assertEquals([after.state, after.lastChange], [state, lastChange], "moved without a version");
    assertEquals(after.probes - probes, step.admitted, "probes admitted");
  }
  if (moved && step.admitted > 0) {
    assertEquals(after.probes, step.admitted, "probes of a new round");
    assert(isRoundOver(before!, now, rules), "a round began while another was under way");
  }
}

function isRoundOver(
  { state, lastChange, leaseEnd, forcedUntil }: TableRow,
  now: number,
  { resetTimeoutMs }: ModelRules,
): boolean {
  if (forcedUntil !== undefined && now < forcedUntil) return false;
  if (lastChange - now >= resetTimeoutMs) return true;
  return state === "open" ? now - lastChange >= resetTimeoutMs : now >= leaseEnd;
}

const FRESH = { version: 0, state: "closed", lastChange: 0, probes: 0 } as const;
