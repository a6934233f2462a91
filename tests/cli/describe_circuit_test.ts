import { assertEquals } from "@std/assert";
import {
  changeWords,
  counted,
  nextOf,
  stateColor,
  stateWords,
  whoOf,
  whyOf,
} from "../../src/cli/describe_circuit.ts";
import { colorOf } from "../../src/cli/commands/history.ts";
import type { CircuitListing } from "../../src/listing_types.ts";
import { InMemoryCircuitBreakerStore } from "../../src/memory_store.ts";

const RULES = { trip: "store", failureThreshold: 1, resetTimeoutMs: 10_000 } as const;

/** A store on a clock that moves by hand, and what it lists of one circuit. */
function scene() {
  const clock = { at: 1_000_000 };
  const store = new InMemoryCircuitBreakerStore({
    ...RULES,
    instanceId: "gateway-1",
    now: () => clock.at,
  });
  const listed = async (): Promise<CircuitListing> => (await store.list())[0]!;
  return { store, clock, listed };
}

function shown(circuit: CircuitListing, now: number) {
  return [stateWords(circuit), stateColor(circuit), whyOf(circuit), nextOf(circuit, now)];
}

Deno.test("a circuit is described from its trip to its probe", async () => {
  const { store, clock, listed } = scene();
  await store.recordFailure("api");
  assertEquals(shown(await listed(), clock.at), ["open", "bad", "trip", "probe in 10s"]);
  clock.at += 4000;
  assertEquals(nextOf(await listed(), clock.at), "probe in 6s");
  clock.at += 6000;
  assertEquals(nextOf(await listed(), clock.at), "probe is due");
  await store.transition("api", "half-open");
  const probing = await listed();
  assertEquals([stateWords(probing), stateColor(probing)], ["half-open", "warning"]);
  await store.transition("api", "closed");
  const closed = await listed();
  assertEquals([stateColor(closed), nextOf(closed, clock.at)], ["good", ""]);
});

Deno.test("a forced circuit says who forced it, why, and until when", async () => {
  const { store, clock, listed } = scene();
  await store.forceClosed("api", { actor: "ada" });
  // Closed by force is not well: no failure opens it.
  assertEquals(shown(await listed(), clock.at), [
    "closed, forced",
    "warning",
    "force",
    "until release",
  ]);
  assertEquals(whoOf(await listed()), "ada");
  await store.forceOpen("api", { reason: "INC-1", forMs: 60_000 });
  assertEquals(shown(await listed(), clock.at + 1000), [
    "open, forced",
    "bad",
    "INC-1",
    "ends in 59s",
  ]);
});

Deno.test("a circuit that votes opened says how many they were", async () => {
  const { store, listed } = scene();
  await store.recordFailure("api");
  const circuit = await listed();
  const why = (...votes: string[]) => whyOf({ ...circuit, votes });
  assertEquals([why(), why("a"), why("a", "b")], ["trip", "1 vote", "2 votes"]);
});

Deno.test("a circuit without a moment of its next probe promises none", async () => {
  const { store, clock, listed } = scene();
  await store.recordFailure("api");
  const { retryAt: _, ...circuit } = await listed();
  assertEquals(nextOf(circuit, clock.at), "");
});

Deno.test("a change is described with its actor, its failures and the operator's reason", async () => {
  const { store } = scene();
  await store.recordFailure("api");
  await store.transition("api", "half-open");
  await store.forceClosed("api", { actor: "ada\n", reason: "INC-1\x1b[31m" });
  const changes = await store.history();
  assertEquals(changes.map(changeWords), [
    "closed -> open  trip  by gateway-1  1 failure",
    "open -> half-open  probe  by gateway-1  1 failure",
    'half-open -> closed  force  by ada\\n  1 failure  "INC-1\\x1b[31m"',
  ]);
  assertEquals(changes.map(colorOf), ["bad", "warning", "good"]);
});

Deno.test("counted() has the word in its number", () => {
  assertEquals([counted(0, "failure"), counted(1, "failure"), counted(2, "success")], [
    "0 failures",
    "1 failure",
    "2 successes",
  ]);
});
