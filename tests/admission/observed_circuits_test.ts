import { assertEquals } from "@std/assert";
import { ObservedCircuits } from "../../src/admission/observed_circuits.ts";
import { ABSENT_CIRCUIT } from "../../src/circuit.ts";
import type { KnownCircuit } from "../../src/ports.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { rulesOf } from "../support/rules.ts";

/** What quick calls find of an observed circuit that memory knows like this. */
function quickOn(known: KnownCircuit | undefined | "unknown") {
  const counted: [string, boolean][] = [];
  const asked: string[] = [];
  const rules = rulesOf({});
  const { quick } = new ObservedCircuits(new MemoryCircuits(rules, () => 0, "database"), rules, {
    known: (key) => {
      asked.push(key);
      return known;
    },
    countSuccess: (key, isSlow) => counted.push([key, isSlow]) > 0,
  });
  return {
    found: quick!.known("api"),
    isCounted: quick!.countSuccess("api", true),
    counted,
    asked,
  };
}

Deno.test("ObservedCircuits lets memory answer where it knows the circuit that is judged", () => {
  const asked = ["api~observed", "api~observed"];
  const counted: [string, boolean][] = [["api~observed", true]];
  const closed = { ...ABSENT_CIRCUIT, readAt: 5 };
  assertEquals(quickOn("unknown"), { found: "unknown", isCounted: false, counted: [], asked });
  for (const known of [undefined, closed]) {
    assertEquals(quickOn(known), { found: undefined, isCounted: true, counted, asked });
  }
  for (const state of ["open", "half-open"] as const) {
    const found = quickOn({ ...closed, state });
    assertEquals(found, { found: undefined, isCounted: false, counted: [], asked });
  }
});

Deno.test("ObservedCircuits has no quick answers where memory has none", () => {
  const rules = rulesOf({});
  const circuits = new MemoryCircuits(rules, () => 0, "database");
  assertEquals(new ObservedCircuits(circuits, rules, undefined).quick, undefined);
});
