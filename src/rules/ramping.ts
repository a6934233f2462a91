/**
 * Ramping up: a circuit that has just closed admits a growing share of calls, so that an upstream that
 * has just recovered does not get all of them at once. Only the time since its last change decides.
 */

import type { Circuit } from "../circuit.ts";
import type { CircuitRules } from "../options/store_options.ts";

/** The share of the calls that a closed circuit admits at its close. */
const FIRST_SHARE = 0.1;

/**
 * Which share of the calls a closed circuit admits, from a tenth to 1. A last change that lies ahead
 * means that the clock was set back; the distance bounds how long calls can be refused for it.
 */
export function admittedShare(
  { lastStateChange }: Pick<Circuit, "lastStateChange">,
  now: number,
  { probing }: CircuitRules,
): number {
  const rampUpMs = probing?.rampUpMs;
  // A circuit that never changed, or that was reset.
  if (rampUpMs === undefined || lastStateChange === 0) return 1;
  const age = Math.abs(now - lastStateChange);
  return age >= rampUpMs ? 1 : FIRST_SHARE + (1 - FIRST_SHARE) * age / rampUpMs;
}
