/**
 * Refusing: a circuit counts the requests that instances refused since it was last closed. The count
 * stays when the circuit closes, until it opens again.
 */

import type { Circuit } from "../circuit.ts";
import type { CircuitState } from "../types.ts";

/** The columns of this rule. */
export const REFUSING_COLUMNS: readonly string[] = [
  "refused_count bigint not null default 0",
];

/** The part of a circuit that this rule reads. */
export interface Refusing {
  /** How many requests were refused since it was last closed. */
  readonly refusedCount: number;
}

/** How many refusals count after the fleet sees another state. */
export function refusedAfter(
  { refusedCount }: Refusing,
  from: CircuitState,
  to: CircuitState,
): number {
  return from === "closed" && to !== "closed" ? 0 : refusedCount;
}

/** SQL: the same of a row. */
export function refusedAfterSql(row: string, from: string, to: string): string {
  return `case when ${from} = 'closed' and ${to} <> 'closed' then 0 else ${row}.refused_count end`;
}

/**
 * Whether refusals still count that an instance adds later. It refused them while the outage had begun at
 * `openedAt`: an outage that began later has its own.
 */
export function isOfOutage({ openedAt }: Pick<Circuit, "openedAt">, refusedSince: number): boolean {
  return openedAt <= refusedSince;
}

/** SQL: the same of a row. */
export function isOfOutageSql(row: string, refusedSince: string): string {
  return `(${row}.opened_at <= ${refusedSince})`;
}
