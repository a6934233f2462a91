import { assertEquals } from "@std/assert";
import type { CircuitModel } from "./circuit_model.ts";
import type { RowFacts } from "./facts.ts";

/** Checks that a row is as the model has it. */
export function assertRow(row: RowFacts, circuit: CircuitModel, now: number): void {
  const isForced = row.forced !== null && now < (row.forcedUntil ?? Infinity);
  const votes = (row.votes ?? []).filter((_, i) => now - row.seen![i]! < 30_000);
  assertEquals({
    state: row.state,
    failures: row.failures,
    successes: row.successes,
    lastFailure: row.lastFailure,
    changedAt: row.changedAt,
    probes: row.probes,
    leaseEnd: row.leaseEnd,
    settled: row.settled,
    inRow: row.inRow,
    openMs: row.openMs,
    failedRounds: row.failedRounds,
    forced: isForced ? row.forced : undefined,
    forcedUntil: isForced ? row.forcedUntil ?? Infinity : undefined,
    votes: votes.toSorted(),
    voters: (row.voters ?? []).toSorted(),
    muted: (row.muted ?? []).toSorted(),
  }, {
    state: circuit.state,
    failures: circuit.failures,
    successes: circuit.successes,
    lastFailure: circuit.lastFailure,
    changedAt: circuit.changedAt,
    probes: circuit.probes,
    leaseEnd: circuit.leaseEnd,
    settled: circuit.settled,
    inRow: circuit.inRow,
    openMs: circuit.openMs,
    failedRounds: circuit.failedRounds,
    forced: circuit.isForced(now) ? circuit.force!.state : undefined,
    forcedUntil: circuit.isForced(now) ? circuit.force!.until : undefined,
    votes: [...circuit.standingVotes(now).keys()].toSorted(),
    voters: circuit.voters.toSorted(),
    muted: circuit.muted.toSorted(),
  });
}
