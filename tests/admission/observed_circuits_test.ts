import { assert, assertEquals } from "@std/assert";
import { ObservedCircuits } from "../../src/admission/observed_circuits.ts";
import { ABSENT_CIRCUIT, type Circuit } from "../../src/circuit.ts";
import type { KnownCircuit } from "../../src/ports.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
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

const RULES = rulesOf({ resetTimeoutMs: 1000, trip: "store", failureThreshold: 1 });

/** An open circuit that is only judged, on a clock that a test moves. */
async function openObserved() {
  const clock = { at: 50_000 };
  const inner = new MemoryCircuits(RULES, () => clock.at, "database");
  const circuits = new ObservedCircuits(inner, RULES, undefined);
  await circuits.recordFailure(IMMEDIATE_CALL, "api");
  const judged = async () => (await inner.read(IMMEDIATE_CALL, "api~observed")).circuit as Circuit;
  assertEquals((await judged()).state, "open");
  return { clock, inner, circuits, judged };
}

Deno.test("ObservedCircuits shows each circuit closed, whatever is done with the one that is judged", async () => {
  const { clock, circuits, inner, judged } = await openObserved();
  assertEquals((await circuits.read(IMMEDIATE_CALL, "api")).circuit!.state, "closed");
  clock.at += 1000;
  const claimed = await circuits.claim(IMMEDIATE_CALL, "api", 0);
  assertEquals([claimed.isAdmitted, claimed.circuit!.state], [true, "closed"]);
  assertEquals((await judged()).state, "half-open");
  const settled = await circuits.settle(IMMEDIATE_CALL, "api", "failure", await judged());
  assertEquals([settled.circuit!.state, (await judged()).state], ["closed", "open"]);
  const moved = await circuits.transition(IMMEDIATE_CALL, "api", "closed");
  assertEquals([moved.circuit!.state, (await judged()).state], ["closed", "closed"]);
  for (const state of ["open", "closed"] as const) {
    const force = { state, forMs: undefined, reason: undefined, actor: undefined };
    await inner.force(IMMEDIATE_CALL, "api~observed", force);
    const { circuit, source } = await circuits.read(IMMEDIATE_CALL, "api");
    assertEquals([circuit!.state, circuit!.forced, source], ["closed", undefined, "database"]);
  }
});

Deno.test("ObservedCircuits settles no round of which it was admitted no probe", async () => {
  const { clock, circuits, inner, judged } = await openObserved();
  clock.at += 1000;
  const settled: string[] = [];
  inner.settle = (_call, key) => {
    settled.push(key);
    throw new Error("it owes no result");
  };
  const claim = inner.claim.bind(inner);
  inner.claim = async (call, key, patienceMs) => {
    await claim(call, key, patienceMs); // another instance
    return await claim(call, key, patienceMs);
  };
  assertEquals((await circuits.recordSuccess(IMMEDIATE_CALL, "api")).circuit.state, "closed");
  assertEquals([settled, (await judged()).state], [[], "half-open"]);
});

Deno.test("ObservedCircuits claims nothing where the circuit would admit no probe", async () => {
  const { clock, circuits, inner, judged } = await openObserved();
  const claimed: string[] = [];
  inner.claim = (_call, key) => {
    claimed.push(key);
    return Promise.resolve({ circuit: undefined, source: "database", isAdmitted: false });
  };
  clock.at += 999;
  await circuits.recordFailure(IMMEDIATE_CALL, "api");
  assertEquals(claimed, []);
  clock.at += 1;
  await circuits.recordSuccess(IMMEDIATE_CALL, "api");
  assertEquals([claimed, (await judged()).state], [["api~observed"], "open"]);
});

Deno.test("ObservedCircuits passes on what operators do, with the circuits of enforcing instances", async () => {
  const { clock, circuits, inner } = await openObserved();
  const force = { state: "open", forMs: undefined, reason: undefined, actor: undefined } as const;
  assertEquals((await circuits.force(IMMEDIATE_CALL, "api", force)).circuit!.forced?.state, "open");
  const keys = (await circuits.readMany(IMMEDIATE_CALL, ["api", "api~observed"])).map(({ key }) =>
    key
  );
  assertEquals(keys, ["api", "api~observed"]);
  const reset = await circuits.reset(IMMEDIATE_CALL, "api", {
    reason: undefined,
    actor: undefined,
  });
  assertEquals(reset.circuit!.forced, undefined);
  await inner.recordSuccess(IMMEDIATE_CALL, "idle");
  clock.at += 5000;
  const request = { idleMs: 1000, limit: 10, isElected: false };
  assert(await circuits.prune(IMMEDIATE_CALL, request) >= 1);
  assertEquals((await inner.read(IMMEDIATE_CALL, "idle")).circuit, undefined);
});

Deno.test("ObservedCircuits without probes of the store's own counts on in an open circuit", async () => {
  const rules = rulesOf({ trip: "store", failureThreshold: 1 });
  const circuits = new ObservedCircuits(
    new MemoryCircuits(rules, () => 0, "database"),
    rules,
    undefined,
  );
  for (const failures of [1, 2]) {
    const { circuit } = await circuits.recordFailure(IMMEDIATE_CALL, "api");
    assertEquals([circuit.state, circuit.failureCount], ["closed", failures]);
  }
});
