/** A circuit in words. */

import type { CircuitListing } from "../listing_types.ts";
import type { CircuitChange } from "../operator_types.ts";
import type { Color } from "./terminal.ts";
import { printable } from "./text.ts";
import { shownDuration, shownTime } from "./times.ts";

/** The parts of a listing that this module reads. */
type Circuit = CircuitListing;

/** The state, and whether an operator forces it. */
export function stateWords({ state, forced }: Circuit): string {
  return forced === undefined ? state : `${forced.state}, forced`;
}

/** What a state means for an operator at night. */
export function stateColor({ state, forced }: Pick<Circuit, "state" | "forced">): Color {
  if (state === "open") return "bad";
  return state === "half-open" || forced !== undefined ? "warning" : "good";
}

/** Since when the circuit is as it is: an outage began when it opened, not at its last failed probe. */
export function sinceOf({ forced, state, openedAt, lastStateChange }: Circuit): number {
  if (forced !== undefined) return forced.since;
  return state !== "closed" && openedAt > 0 ? openedAt : lastStateChange;
}

/** Why the circuit is as it is: the cause of its last change, or the operator's reason. */
export function whyOf(circuit: Circuit): string {
  const { forced, cause, votes } = circuit;
  if (forced !== undefined) return forced.reason ?? "force";
  if (votes.length > 0) return `${votes.length} vote${votes.length === 1 ? "" : "s"}`;
  return cause;
}

/** Who made it so. */
export function whoOf({ forced, actor }: Circuit): string {
  return forced?.by ?? actor;
}

/** What happens next, and when. */
export function nextOf(circuit: Circuit, now: number): string {
  const { forced, state, retryAt } = circuit;
  if (forced !== undefined) {
    return forced.until === undefined
      ? "until release"
      : `ends in ${shownDuration(forced.until - now)}`;
  }
  if (state === "closed") return "";
  if (retryAt === undefined) return "";
  return retryAt > now ? `probe in ${shownDuration(retryAt - now)}` : "probe is due";
}

/** How many of something, with the word for it. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : word.endsWith("s") ? "es" : "s"}`;
}

/** A change on one line. */
export function changeWords(change: CircuitChange): string {
  const { from, to, cause, actor, role, reason, failureCount } = change;
  const parts = [`${from} -> ${to}`, cause];
  if (actor !== "") parts.push(`by ${printable(actor)}`);
  if (role !== "") parts.push(`(role ${printable(role)})`);
  if (failureCount > 0) parts.push(counted(failureCount, "failure"));
  if (reason !== undefined) parts.push(`"${printable(reason)}"`);
  return parts.join("  ");
}

/** When a forced state ends. */
export function endWords(until: number | undefined, now: number): string {
  return until === undefined
    ? "until it is released"
    : `for ${shownDuration(until - now)}, until ${shownTime(until)}`;
}
