import { assert, assertEquals } from "@std/assert";
import { Admission } from "../../src/admission/admission.ts";
import { Gate } from "../../src/admission/gate.ts";
import { ABSENT_CIRCUIT, type Circuit } from "../../src/circuit.ts";
import type { ClaimAnswer } from "../../src/ports.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../mod.ts";
import { verdictOf } from "../support/policy.ts";
import { rulesOf } from "../support/rules.ts";

const RESET = 1000;
const LEASE = 400;
const RAMP = 10_000;

/** Two instances on the same circuits. What is random is what the test says. */
function scene(options: PostgresCircuitBreakerStoreOptions) {
  const clock = { at: 50_000 };
  const random = { next: 0 };
  const rules = rulesOf({
    resetTimeoutMs: RESET,
    probeTimeoutMs: LEASE,
    failureThreshold: 1,
    ...options,
  });
  const circuits = new MemoryCircuits(rules, () => clock.at, "database");
  const open = () =>
    new Admission({
      circuits,
      rules,
      clock: { now: () => clock.at, toCaller: (time) => time },
      begin: () => IMMEDIATE_CALL,
      random: () => random.next,
      onRefused: () => {},
      observed: { observer: undefined },
    });
  return { clock, random, one: open(), other: open() };
}

type Scene = ReturnType<typeof scene>;

async function recover({ clock, one }: Scene): Promise<void> {
  await one.transition("api", "open");
  clock.at += RESET;
  assertEquals((await one.getState("api")).state, "half-open");
  assertEquals((await one.transition("api", "closed")).state, "closed");
}

Deno.test("a circuit that ramps up refuses a share of the calls, for a second", async () => {
  const ramping = scene({ rampUpMs: RAMP });
  const { clock, random, one } = ramping;
  await recover(ramping);
  random.next = 0.1; // the share itself is too high
  assertEquals((await one.getState("api")).state, "open");
  for (const [age, share] of [[0, 0.1], [RAMP / 2, 0.55], [RAMP - 1, 0.9999]]) {
    clock.at += age! - (clock.at - (await one.peek("api")).lastStateChange);
    random.next = share! - 0.01;
    assertEquals((await one.getState("api")).state, "closed");
    random.next = share! + 0.01;
    if (random.next >= 1) continue;
    const refused = await one.getState("api");
    assertEquals(refused.state, "open");
    assertEquals(verdictOf(refused, clock.at, RESET), { kind: "refuse", retryAfter: 1 });
    assertEquals((await one.peek("api")).state, "closed");
  }
  clock.at += 1;
  random.next = 0.999999;
  assertEquals((await one.getState("api")).state, "closed");
});

Deno.test("only a circuit that has closed ramps up: no new, reset or forced one", async () => {
  const ramping = scene({ rampUpMs: RAMP });
  const { random, one } = ramping;
  random.next = 0.999;
  assertEquals((await one.getState("api")).state, "closed");
  await one.recordFailure("api");
  assertEquals((await one.getState("api")).state, "closed");
  await recover(ramping);
  assertEquals((await one.getState("api")).state, "open");
  await one.force("api", "closed", {});
  assertEquals((await one.getState("api")).state, "closed");
  await one.release("api", {});
  await one.reset("api", {});
  assertEquals((await one.getState("api")).state, "closed");
});

Deno.test("an instance that owes a result claims one lease later than others", async () => {
  const { clock, one, other } = scene({});
  await one.transition("api", "open");
  clock.at += RESET;
  const stateAfter = async (ms: number, admission: Admission) => {
    clock.at += ms;
    return (await admission.getState("api")).state;
  };
  assertEquals(await stateAfter(0, one), "half-open");
  assertEquals(await stateAfter(LEASE, one), "open");
  assertEquals(await stateAfter(LEASE - 1, one), "open");
  // The other instance does not wait, and its probe fails.
  assertEquals(await stateAfter(0, other), "half-open");
  await other.transition("api", "open");
  // The round of an open circuit has to stand unclaimed for one more lease, too.
  assertEquals(await stateAfter(RESET, one), "open");
  assertEquals(await stateAfter(LEASE - 1, one), "open");
  assertEquals(await stateAfter(1, one), "half-open");
  // The claim of the hung probe was dropped: the result is that of the last.
  assertEquals((await one.transition("api", "closed")).state, "closed");
});

Deno.test("a late result is not taken for that of a later probe of another instance", async () => {
  const { clock, one, other } = scene({});
  await one.transition("api", "open");
  clock.at += RESET;
  await one.getState("api");
  clock.at += 20 * LEASE;
  assertEquals((await other.getState("api")).state, "half-open");
  assertEquals((await one.transition("api", "closed")).state, "half-open");
  assertEquals((await other.transition("api", "closed")).state, "closed");
});

Deno.test("an instance may have several probes of the round that it has claimed", async () => {
  const { clock, one } = scene({ halfOpenMax: 3 });
  await one.transition("api", "open");
  clock.at += RESET;
  for (const expected of ["half-open", "half-open", "half-open", "open"]) {
    assertEquals((await one.getState("api")).state, expected);
  }
  // All at once, also where it has waited for its own claims.
  clock.at += 2 * LEASE;
  const states = await Promise.all(Array.from({ length: 5 }, () => one.getState("api")));
  assertEquals(states.filter(({ state }) => state === "half-open").length, 3);
});

/** A gate whose claims are answered as given. */
function gateOf(options: PostgresCircuitBreakerStoreOptions, answers: ClaimAnswer[] = []) {
  const rules = rulesOf({ resetTimeoutMs: RESET, probeTimeoutMs: LEASE, ...options });
  const claims: number[] = [];
  const circuits = new MemoryCircuits(rules, () => 50_000, "database");
  circuits.claim = (_call, _key, patienceMs) => {
    claims.push(patienceMs);
    return Promise.resolve(answers.shift()!);
  };
  return { gate: new Gate<unknown>({ circuits, rules, random: () => 0.5 }), claims };
}

function circuit(differing: Partial<Circuit>): Circuit {
  return { ...ABSENT_CIRCUIT, key: "api", readAt: 50_000, ...differing };
}

Deno.test("Gate is clear for a circuit that admits every request, also where the time is not known", () => {
  const { gate } = gateOf({ rampUpMs: RAMP });
  const { readAt: _, ...timeless } = circuit({});
  assert(gate.isClear(undefined) && gate.isClear(circuit({})) && gate.isClear(timeless));
  assert(gate.isClear(circuit({ lastStateChange: 50_000 - RAMP })), "it has ramped up");
  assert(!gate.isClear(circuit({ lastStateChange: 50_001 - RAMP })), "it ramps up");
  assert(!gate.isClear({ ...timeless, lastStateChange: 50_000 - RAMP }), "it may ramp up");
  assert(!gate.isClear(circuit({ state: "open" })));
  const forced = { at: 0, until: undefined, reason: undefined, by: undefined };
  assert(!gate.isClear(circuit({ forced: { state: "closed", ...forced } })));
  assert(gateOf({}).gate.isClear({ ...timeless, lastStateChange: 1 }), "nothing ramps up");
});

Deno.test("Gate claims only where a probe may be admitted", async () => {
  const refusing = circuit({ state: "open", lastStateChange: 50_001 - RESET });
  const { gate, claims } = gateOf({});
  const entry = await gate.enter(IMMEDIATE_CALL, "api", refusing, false);
  assertEquals([entry.kind, claims], ["refused", []]);
  const forced = {
    state: "open",
    at: 0,
    until: undefined,
    reason: undefined,
    by: undefined,
  } as const;
  const due = circuit({ state: "open", lastStateChange: 50_000 - RESET, forced });
  assertEquals((await gate.enter(IMMEDIATE_CALL, "api", due, false)).kind, "refused");
  assertEquals(claims, []);
});

Deno.test("Gate lets pass whom a claim finds a circuit without a row", async () => {
  const due = circuit({ state: "open", lastStateChange: 50_000 - RESET });
  const answer = { circuit: undefined, source: "database", isAdmitted: false } as const;
  const { gate, claims } = gateOf({}, [answer]);
  const entry = await gate.enter(IMMEDIATE_CALL, "api", due, false);
  assertEquals(entry, { kind: "pass", circuit: undefined });
  assertEquals(claims, [0]);
});

Deno.test("Gate refuses whom a claim refuses although a probe may be admitted", async () => {
  const due = circuit({ state: "open", lastStateChange: 50_000 - RESET });
  const { gate, claims } = gateOf({}, [{ circuit: due, source: "database", isAdmitted: false }]);
  const entry = await gate.enter(IMMEDIATE_CALL, "api", due, false);
  assertEquals(entry, { kind: "refused", circuit: due, patienceMs: 0 });
  assertEquals(claims, [0]);
});

Deno.test("Gate that waits for its own claim asks again once, and then refuses", async () => {
  const due = circuit({ state: "open", lastStateChange: 50_000 - RESET - LEASE });
  const answer = { circuit: due, source: "database", isAdmitted: false } as const;
  const { gate, claims } = gateOf({}, [answer, answer]);
  gate.claims.add("api", { version: 1, lastStateChange: 1 }, false);
  const entry = await gate.enter(IMMEDIATE_CALL, "api", due, false);
  assertEquals(entry, { kind: "refused", circuit: due, patienceMs: LEASE });
  assertEquals(claims, [LEASE, LEASE]);
});
