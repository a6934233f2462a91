import { assertEquals } from "@std/assert";
import {
  addToNewest,
  addToNewestSql,
  addToSegments,
  addToSegmentsSql,
  cellsAfterAdding,
  cellsAfterAddingSql,
  cellsInWindow,
  cellsInWindowSql,
  clearSegments,
  clearSegmentsSql,
  firstSegmentsSql,
  isNewestNow,
  isNewestNowSql,
  type Segments,
  sumSegments,
  sumSegmentsSql,
} from "../../src/rules/segments.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, rateRules, windowRules } from "./generated_circuits.ts";

const ADDED = ["(call.added + call.slow)", "call.added", "call.slow"];

testBothForms("segments", async (bothForms) => {
  await bothForms({ addToSegments, addToSegmentsSql }, rateRules, ({ rates: { windowMs } }) => ({
    sql: {
      written: addToSegmentsSql("c.call_segments", "call.now", windowMs, ADDED),
      kept: addToSegmentsSql("c.call_segments", "call.now", undefined, ADDED),
    },
    typescript: ({ callSegments }, { added, slow, now }) => {
      const all = [added + slow, added, slow];
      return {
        written: addToSegments(callSegments, now, windowMs, all) ?? null,
        kept: addToSegments(callSegments, now, undefined, all) ?? null,
      };
    },
  }));

  await bothForms({ addToSegments, firstSegmentsSql }, windowRules, ({ failureWindowMs }) => ({
    sql: firstSegmentsSql("call.now", failureWindowMs, ["call.added"]),
    typescript: (_, { added, now }) => addToSegments(undefined, now, failureWindowMs, [added]),
  }));

  await bothForms({ cellsInWindow, cellsInWindowSql }, rateRules, ({ rates: { windowMs } }) => ({
    sql: cellsInWindowSql("c.call_segments", "call.now", windowMs),
    readSql: Number,
    typescript: ({ callSegments }, { now }) =>
      callSegments === undefined ? 0 : cellsInWindow(callSegments, now, windowMs),
  }));

  await bothForms(
    { cellsAfterAdding, cellsAfterAddingSql },
    rateRules,
    ({ rates: { windowMs } }) => ({
      sql: cellsAfterAddingSql("c.call_segments", "call.now", windowMs),
      readSql: Number,
      typescript: ({ callSegments }, { now }) => cellsAfterAdding(callSegments, now, windowMs),
    }),
  );

  await bothForms({ isNewestNow, isNewestNowSql }, rateRules, ({ rates: { windowMs } }) => ({
    sql: isNewestNowSql("c.call_segments", "call.now", windowMs),
    typescript: ({ callSegments }, { now }) =>
      callSegments === undefined ? null : isNewestNow(callSegments, now, windowMs),
  }));

  await bothForms({ addToNewest, addToNewestSql }, rateRules, () => ({
    sql: `case when c.call_segments is not null then ${
      addToNewestSql("c.call_segments", ADDED)
    } end`,
    typescript: ({ callSegments }, { added, slow }) =>
      callSegments === undefined ? null : addToNewest(callSegments, [added + slow, added, slow]),
  }));

  await bothForms({ sumSegments, sumSegmentsSql }, anyRules, () => ({
    sql: {
      failures: sumSegmentsSql("c.failure_segments", "call.added"),
      slow: sumSegmentsSql("c.call_segments", "call.slow", 2, 3),
    },
    typescript: ({ failureSegments, callSegments }, { added, slow }) => ({
      failures: sumSegments(failureSegments, Math.min(added, 10)),
      slow: sumSegments(callSegments, slow, 2, 3),
    }),
  }));

  await bothForms({ clearSegments, clearSegmentsSql }, anyRules, () => ({
    sql: clearSegmentsSql("c.failure_segments", 1),
    typescript: ({ failureSegments }) => clearSegments(failureSegments) ?? null,
  }));
});

/** How many are counted in a window at a moment. */
function counted(segments: Segments | undefined, now: number, windowMs: number): number {
  return segments === undefined ? 0 : sumSegments(segments, cellsInWindow(segments, now, windowMs));
}

/** Adds one at each moment, for one window. */
function added(windowMs: number | undefined, moments: number[], before?: Segments): Segments {
  let segments = before;
  for (const at of moments) segments = addToSegments(segments, at, windowMs, [1]);
  return segments!;
}

Deno.test("addToSegments counts nothing that is older than the window, and all of its last nine tenths", () => {
  const moments = Array.from({ length: 500 }, (_, i) => 1_000_003 + i * 37);
  for (const windowMs of [1000, 1001, 60_000]) {
    const segments = added(windowMs, moments);
    const now = moments.at(-1)!;
    for (let later = 0; later < windowMs * 1.2; later += 13) {
      const sum = counted(segments, now + later, windowMs);
      const within = (ms: number) => moments.filter((at) => at > now + later - ms).length;
      assertEquals(
        sum <= within(windowMs),
        true,
        `${windowMs}: ${later} ms later there are ${sum}`,
      );
      assertEquals(sum >= within(windowMs * 0.89), true, `${windowMs}: ${later} ms later: ${sum}`);
    }
  }
});

Deno.test("addToSegments keeps the counts when the length changes, and goes back to the shorter one", () => {
  const short = added(1000, [10_000, 10_100, 10_200]);
  assertEquals(short[0], 100);
  const long = added(5000, [10_250], short);
  assertEquals([long[0], counted(long, 10_250, 5000)], [500, 4]);
  // The shorter window writes the form of the longer one, which was asked for lately.
  const both = added(1000, [10_300, 10_800, 14_900], long);
  assertEquals([both[0], counted(both, 14_900, 5000), counted(both, 14_900, 1000)], [500, 7, 1]);
  // No longer window was asked for in the last 5000 ms.
  const back = added(1000, [15_300], both);
  assertEquals([back[0], counted(back, 15_300, 1000)], [100, 2]);
});

Deno.test("addToSegments with a clock that was set back adds to the newest, or begins anew", () => {
  const segments = added(1000, [10_000, 10_150]);
  const back = added(1000, [9500], segments);
  assertEquals([back[1], counted(back, 9500, 1000)], [101, 3]);
  const far = added(1000, [8000], back);
  assertEquals([far[1], counted(far, 8000, 1000)], [80, 1]);
});

Deno.test("addToNewest does what addToSegments does in the segment of now", () => {
  const segments = added(1000, [10_000, 10_050, 10_170]);
  assertEquals(isNewestNow(segments, 10_199, 1000), true);
  assertEquals(addToNewest(segments, [5]), addToSegments(segments, 10_199, 1000, [5]));
  assertEquals(isNewestNow(segments, 10_200, 1000), false);
});

Deno.test("addToSegments without a window leaves the form as it is", () => {
  assertEquals(addToSegments(undefined, 1000, undefined, [1]), undefined);
  const segments = added(1000, [10_000]);
  assertEquals(added(undefined, [10_100], segments).slice(0, 5), [100, 101, 100, 1, 1]);
});
