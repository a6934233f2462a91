/** What `doctor` finds. */

/** What is looked at, in the order in which it is reported. */
export const CHECKS = [
  "connection",
  "server",
  "schema",
  "privileges",
  "row security",
  "foreign code",
  "clock",
  "settings",
  "notifications",
  "bloat",
  "instances",
  "forces",
] as const;

/** One of them. */
export type Check = typeof CHECKS[number];

/** A finding. */
export interface Finding {
  /** A `problem` keeps circuits from working and fails a deploy. A `warning` does not. */
  readonly level: "problem" | "warning";
  readonly check: Check;
  /** What it is, and what to do. */
  readonly message: string;
}

/** Makes a warning. */
export function warning(check: Check, message: string): Finding {
  return { level: "warning", check, message };
}

/** Makes a problem. */
export function problem(check: Check, message: string): Finding {
  return { level: "problem", check, message };
}
