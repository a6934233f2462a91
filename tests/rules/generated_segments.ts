/** Durations, and segments of windows, that fast-check generates near the boundaries of the rules. */

import fc from "fast-check";
import type { CircuitRules } from "../../src/options/store_options.ts";

/** The longest duration that an option takes. */
export const MAX_MILLISECONDS = 9e12;

/** A duration of an option. */
export const duration: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.constantFrom(300, 700, 3000, 10_000),
  fc.integer({ min: 1, max: MAX_MILLISECONDS }),
);

/** Segments of a window, by how they lie to now and to the lengths that the rules ask for. */
export type SomeSegments = (rules: CircuitRules, now: number) => number[] | null;

const segmentCell = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 899_999_990, max: 900_000_000 }) },
);

/** Segments with a number of kinds of counts, for a window of the rules. */
export function segmentsOf(
  kinds: number,
  windowOf: (rules: CircuitRules) => number | undefined,
): fc.Arbitrary<SomeSegments> {
  return fc.option(fc.record({
    factor: fc.constantFrom(1, 1, 1, 1, 0.1, 0.4, 0.9, 1.1, 2, 10),
    otherLength: duration,
    isOther: fc.constantFrom(false, false, false, false, true),
    later: fc.oneof(fc.integer({ min: -2, max: 12 }), fc.integer({ min: -12, max: 12 })),
    asked: fc.integer({ min: -12, max: 12 }),
    cells: fc.array(segmentCell, { minLength: 10 * kinds, maxLength: 10 * kinds }),
  })).map((drafted): SomeSegments => (rules, now) => {
    if (drafted === null) return null;
    const { factor, otherLength, isOther, later, asked, cells } = drafted;
    const own = Math.max(1, Math.floor((windowOf(rules) ?? otherLength) / 10));
    const length = Math.max(1, Math.floor(isOther ? otherLength : own * factor));
    const newest = Math.max(0, Math.trunc(now / length) - later);
    return [length, newest, Math.max(0, newest - asked), ...cells];
  });
}
