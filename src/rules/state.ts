/** The states of a circuit, and how a row writes them. */

import type { CircuitState } from "../types.ts";

/** The states in the order of their codes, which begin with 0. */
export const STATE_CODES: readonly CircuitState[] = ["closed", "open", "half-open"];

/** The state of a code. An unknown code is closed, because traffic must go on. */
export function stateOfCode(code: number): CircuitState {
  return STATE_CODES[code] ?? "closed";
}

/** SQL: the code of a state, 0 for a state that this release does not know. */
export function stateCodeSql(state: string): string {
  return `case ${state} when 'open' then 1 when 'half-open' then 2 else 0 end`;
}

/** SQL: what a row's state counts as. A state that this release does not know counts as closed. */
export function storedStateSql(row: string): string {
  return `case when ${row}.state in ('open', 'half-open') then ${row}.state else 'closed' end`;
}
