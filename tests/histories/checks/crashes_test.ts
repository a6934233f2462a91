import { assertEquals } from "@std/assert";
import { withDoubts } from "./crashes.ts";
import { callOf, instanceOf, runOf, shownOf } from "./made_up.ts";

const crashes = [{ from: 100, to: 200 }];
const calls = [98, 99, 150, 200, 201, 251].map((begin) =>
  callOf({ begin, operation: "recordFailure", shown: shownOf("closed", 0) })
);

function fates(parts: Partial<ReturnType<typeof instanceOf>>): string[] {
  const run = withDoubts(runOf({ instances: [instanceOf(parts)], calls, crashes }));
  return run.calls.map(({ fate, shown }) => shown === undefined ? fate : `${fate}, shown`);
}

Deno.test("crashes: what overlaps one is in doubt, where the driver resolves before the commit", () => {
  const [sure, doubt] = ["answered, shown", "unknown"] as const;
  assertEquals(fates({ resolvesEarly: false }), Array(6).fill(sure));
  assertEquals(fates({ resolvesEarly: true }), [sure, doubt, doubt, doubt, sure, sure]);
  assertEquals(fates({ resolvesEarly: true, boundMs: 50 }), [
    ...[sure, doubt, doubt],
    ...[doubt, doubt, sure],
  ]);
});
