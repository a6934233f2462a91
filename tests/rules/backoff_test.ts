import { assertEquals } from "@std/assert";
import { NO_DETAILS } from "../../src/circuit.ts";
import { opening, openingSql, openMs, openMsSql } from "../../src/rules/backoff.ts";
import type { ResetBackoff } from "../../src/options/rule_options.ts";
import { probingOf, rulesOf } from "../support/rules.ts";
import { testBothForms } from "./both_forms.ts";
import { anyRules, probingRules } from "./generated_circuits.ts";

testBothForms("backing off", async (bothForms) => {
  await bothForms({ opening, openingSql }, anyRules, (rules) => ({
    sql: { ...openingSql("c", "call.now", rules, "call.share") },
    typescript: (circuit, { now, share }) => {
      const { resetMs, failedRounds } = opening(circuit, now, rules, share);
      return { reset_ms: resetMs, failed_rounds: failedRounds };
    },
  }));

  await bothForms({ openMs, openMsSql }, probingRules, ({ probing }) => ({
    sql: openMsSql("c", probing),
    typescript: (circuit) => openMs(circuit, probing),
  }));
});

/** How long a circuit stays open after a number of failed rounds. */
function timeoutsOf(resetBackoff: ResetBackoff, rounds: readonly number[], share = 0): number[] {
  const rules = rulesOf({ resetTimeoutMs: 1000, resetBackoff });
  return rounds.map((failed) => {
    const circuit = { state: "half-open", lastStateChange: 0, failedRounds: failed - 1 } as const;
    return opening(circuit, 0, rules, share).resetMs;
  });
}

Deno.test("opening: the reset timeout grows by the factor up to the longest", () => {
  assertEquals(timeoutsOf({ maxMs: 10_000 }, [1, 2, 3, 4, 5, 1_000_000]), [
    2000,
    4000,
    8000,
    10_000,
    10_000,
    10_000,
  ]);
  assertEquals(timeoutsOf({ factor: 1.5 }, [1, 2, 3, 4]), [1500, 2250, 3375, 5062]);
  assertEquals(timeoutsOf({ factor: 1 }, [1, 1000]), [1000, 1000]);
  assertEquals(timeoutsOf({ factor: 1000, maxMs: 9e12 }, [1, 4, 100]), [1e6, 9e12, 9e12]);
});

Deno.test("opening: jitter makes the reset timeout shorter by a share of it, never 0", () => {
  assertEquals(timeoutsOf({ jitter: 0.2 }, [1, 2], 0.5), [1800, 3600]);
  assertEquals(timeoutsOf({ jitter: 1 }, [1], 1 - Number.EPSILON), [1]);
});

Deno.test("opening: failed rounds are forgotten after one reset timeout in the closed state", () => {
  const rules = rulesOf({ resetTimeoutMs: 1000, resetBackoff: {} });
  const at = (now: number) =>
    opening({ state: "closed", lastStateChange: 10_000, failedRounds: 3 }, now, rules, 0);
  assertEquals(at(10_999), { resetMs: 8000, failedRounds: 3 });
  assertEquals(at(11_000), { resetMs: 1000, failedRounds: 0 });
  assertEquals(at(9001), { resetMs: 8000, failedRounds: 3 }); // the clock was set back
  assertEquals(at(9000), { resetMs: 1000, failedRounds: 0 });
});

Deno.test("openMs: a circuit that remembers no timeout has that of its reader", () => {
  const probing = probingOf({ resetTimeoutMs: 1000, resetBackoff: {} });
  assertEquals(openMs({ details: NO_DETAILS }, probing), 1000);
  assertEquals(openMs({ details: { ...NO_DETAILS, resetMs: 4000 } }, probing), 4000);
});
