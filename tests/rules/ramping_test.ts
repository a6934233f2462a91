import { assertAlmostEquals, assertEquals } from "@std/assert";
import { admittedShare } from "../../src/rules/ramping.ts";
import { rulesOf } from "../support/rules.ts";

const RULES = rulesOf({ resetTimeoutMs: 1000, rampUpMs: 10_000 });

function shareAt(now: number, lastStateChange = 50_000, rules = RULES): number {
  return admittedShare({ lastStateChange }, now, rules);
}

Deno.test("admittedShare grows from a tenth to all while the circuit ramps up", () => {
  for (
    const [age, share] of [[0, 0.1], [2500, 0.325], [5000, 0.55], [9999, 0.99991], [10_000, 1]]
  ) {
    assertAlmostEquals(shareAt(50_000 + age!), share!);
  }
  assertEquals(shareAt(9e12), 1);
});

Deno.test("admittedShare is all for a circuit that never changed, and without the option", () => {
  assertEquals(shareAt(5000, 0), 1);
  assertEquals(shareAt(50_000, 50_000, rulesOf({ resetTimeoutMs: 1000 })), 1);
  assertEquals(shareAt(50_000, 50_000, rulesOf({})), 1);
});

Deno.test("admittedShare does not refuse for longer because the clock was set back", () => {
  assertAlmostEquals(shareAt(45_000), 0.55);
  assertEquals(shareAt(40_000), 1);
});
