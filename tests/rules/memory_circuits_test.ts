import { assertEquals, assertRejects } from "@std/assert";
import { ABSENT_CIRCUIT, type Circuit } from "../../src/circuit.ts";
import type { OwnChange } from "../../src/ports.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { MemoryLog } from "../../src/rules/memory_log.ts";
import { IMMEDIATE_CALL as CALL } from "../../src/time/call.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../mod.ts";
import { rulesOf } from "../support/rules.ts";

const RESET = 1000;
const LIST = { state: undefined, after: undefined, limit: 10 };
const EVERYTHING = {
  ...{ after: undefined, until: undefined, afterVersion: undefined, key: undefined },
  ...{ since: undefined, hasRounds: true, limit: 10 },
};
const RELEASE = { state: undefined, forMs: undefined, reason: undefined, actor: undefined };

function scene(options: PostgresCircuitBreakerStoreOptions = {}, historyRows = 1000) {
  const clock = { at: 50_000 };
  const changes: OwnChange[] = [];
  const now = () => clock.at;
  const log = new MemoryLog({ historyMs: Infinity, historyRows }, now);
  const rules = rulesOf({ resetTimeoutMs: RESET, probeTimeoutMs: 400, ...options });
  const circuits = new MemoryCircuits(rules, now, "database", undefined, {
    ...{ log, actor: "one", onLogged: (change) => changes.push(change) },
  });
  /** The causes of what was logged since the last look. */
  const look = () => changes.splice(0).map(({ cause }) => cause);
  const read = async () => (await circuits.read(CALL, "a")).circuit;
  return { clock, circuits, look, read };
}

function force(state: "open" | "closed", forMs?: number) {
  return { ...RELEASE, state, forMs };
}

/** Local circuits, which know some of another store. */
function local(known: readonly Circuit[], options: PostgresCircuitBreakerStoreOptions = {}) {
  const bounds = { known: new Map(known.map((each) => [each.key, each])), capacity: 2 };
  return new MemoryCircuits(rulesOf(options), () => 50_000, "local", bounds);
}

Deno.test("MemoryCircuits logs a zeroing only where a counter falls", async () => {
  const { circuits, look } = scene();
  await circuits.recordSuccess(CALL, "a");
  await circuits.transition(CALL, "a", "closed");
  assertEquals(look(), ["zeroed"]);
  await circuits.transition(CALL, "a", "closed");
  assertEquals(look(), []);
  await circuits.recordFailure(CALL, "a");
  await circuits.transition(CALL, "a", "closed");
  assertEquals(look(), ["zeroed"]);
  assertEquals((await circuits.read(CALL, "a")).circuit!.failureCount, 0);
});

Deno.test("MemoryCircuits logs a reset as one where callers see another state, or a forced one", async () => {
  const { circuits, look } = scene();
  await circuits.recordFailure(CALL, "a");
  await circuits.reset(CALL, "a", RELEASE);
  assertEquals(look(), ["zeroed"]);
  await circuits.reset(CALL, "a", RELEASE);
  assertEquals(look(), [], "it is blank");
  await circuits.force(CALL, "a", force("closed"));
  await circuits.reset(CALL, "a", RELEASE);
  await circuits.transition(CALL, "a", "open");
  await circuits.reset(CALL, "a", RELEASE);
  assertEquals(look(), ["force", "reset", "trip", "reset"]);
});

Deno.test("MemoryCircuits lists no circuit that reads like one without a row", async () => {
  const { circuits } = scene();
  await circuits.recordSuccess(CALL, "success");
  await circuits.recordFailure(CALL, "failure");
  await circuits.force(CALL, "forced", force("closed"));
  await circuits.transition(CALL, "failed before", "half-open");
  await circuits.transition(CALL, "failed before", "closed");
  await circuits.recordFailure(CALL, "zeroed");
  await circuits.transition(CALL, "zeroed", "closed");
  await circuits.recordFailure(CALL, "blank");
  await circuits.reset(CALL, "blank", RELEASE);
  const listed = await circuits.list(CALL, LIST);
  assertEquals(listed.map(({ key }) => key), [
    ...["failed before", "failure", "forced", "success", "zeroed"],
  ]);
});

Deno.test("MemoryCircuits makes no row for a circuit that is moved to where it is", async () => {
  const { circuits, look, read } = scene();
  for (
    const call of [
      () => circuits.transition(CALL, "a", "closed"),
      () => circuits.force(CALL, "a", RELEASE),
      () => circuits.reset(CALL, "a", RELEASE),
      () => circuits.settle(CALL, "a", "success", { version: 1, lastStateChange: 1 }),
    ]
  ) assertEquals(await call(), { circuit: undefined, source: "database" });
  const claimed = await circuits.claim(CALL, "a", 0);
  assertEquals(claimed, { circuit: undefined, source: "database", isAdmitted: false });
  assertEquals([await read(), look()], [undefined, []]);
  const byStore = scene({ trip: "store", failureThreshold: 2 });
  assertEquals((await byStore.circuits.transition(CALL, "a", "open")).circuit, undefined);
});

Deno.test("MemoryCircuits gives a lease from the claim on, also to one that joins a round", async () => {
  const { circuits, clock, look, read } = scene({ halfOpenMax: 2 });
  await circuits.transition(CALL, "a", "open");
  clock.at += RESET;
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, true);
  clock.at += 100;
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, true);
  const { probeCount, probeExpiresAt } = (await read())!;
  assertEquals([probeCount, probeExpiresAt], [2, clock.at + 400]);
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, false);
  clock.at += 400;
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, true);
  assertEquals(look(), ["trip", "probe", "round"]);
});

Deno.test("MemoryCircuits admits and settles no probe of a forced circuit, and does so after it", async () => {
  const { circuits, clock, read } = scene();
  await circuits.transition(CALL, "a", "open");
  clock.at += RESET;
  const { circuit } = await circuits.claim(CALL, "a", 0);
  await circuits.force(CALL, "a", force("open", 100));
  const settled = await circuits.settle(CALL, "a", "success", circuit!);
  assertEquals(settled.circuit!.state, "half-open");
  clock.at += 99;
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, false);
  clock.at += 301;
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, true);
  assertEquals((await read())!.forced, undefined, "what has ended is dropped");
});

Deno.test("MemoryCircuits forgets a forced state that has ended where it is released or probed", async () => {
  const { circuits, clock, look, read } = scene();
  await circuits.force(CALL, "a", force("closed", 100));
  clock.at += 100;
  await circuits.force(CALL, "a", RELEASE);
  assertEquals([(await read())!.forced, look()], [undefined, ["force"]]);
});

Deno.test("MemoryCircuits logs the end of a forced state where it is read, listed or asked for", async () => {
  for (
    const notice of [
      ({ circuits }) => circuits.list(CALL, LIST),
      ({ circuits }) => circuits.read(CALL, "a"),
      ({ circuits }) => circuits.readMany(CALL, ["a"]),
      ({ circuits }) =>
        circuits.log(CALL, {
          ...{ after: undefined, until: undefined, afterVersion: undefined, key: undefined },
          ...{ since: undefined, hasRounds: true, limit: 10 },
        }),
    ] as ((played: ReturnType<typeof scene>) => Promise<unknown>)[]
  ) {
    const played = scene();
    await played.circuits.force(CALL, "a", force("open", 100));
    played.clock.at += 99;
    await notice(played);
    assertEquals(played.look(), ["force"]);
    played.clock.at += 1;
    await notice(played);
    await notice(played);
    assertEquals(played.look(), ["expiry"]);
    const page = await played.circuits.log(CALL, EVERYTHING);
    assertEquals(page.changes.map(({ actor, role }) => [actor, role]), [["one", ""], ["", ""]]);
  }
});

Deno.test("MemoryCircuits opens no circuit by a record that an operator forces, or whose end is not logged", async () => {
  const { circuits, clock, look } = scene({ trip: "store", failureThreshold: 2 });
  await circuits.force(CALL, "a", force("closed", 100));
  for (let time = 0; time < 3; time++) await circuits.recordFailure(CALL, "a");
  assertEquals(look(), ["force"]);
  clock.at += 100;
  await circuits.recordFailure(CALL, "a");
  assertEquals(look(), ["trip"]);
  await circuits.force(CALL, "b", force("open", 100));
  clock.at += 100;
  for (let time = 0; time < 3; time++) await circuits.recordFailure(CALL, "b");
  assertEquals(look(), ["force"]);
  await circuits.read(CALL, "b");
  await circuits.recordFailure(CALL, "b");
  assertEquals(look(), ["expiry", "trip"]);
});

Deno.test("MemoryCircuits opens a circuit that is due by the failure of a probe of another round", async () => {
  const { circuits, clock, look } = scene({ trip: "store", failureThreshold: 2 });
  const round = { version: 99, lastStateChange: 1 };
  await circuits.force(CALL, "a", force("closed", 100));
  await circuits.recordFailure(CALL, "a");
  await circuits.recordFailure(CALL, "a");
  clock.at += 100;
  assertEquals((await circuits.settle(CALL, "a", "success", round)).circuit!.state, "closed");
  assertEquals((await circuits.settle(CALL, "a", "failure", round)).circuit!.state, "open");
  assertEquals(look(), ["force", "trip"]);
});

Deno.test("MemoryCircuits opens a circuit by a success only where a rate counts it", async () => {
  const { circuits, look } = scene({ trip: "store", failureThreshold: 2 });
  await circuits.recordFailure(CALL, "a");
  await circuits.recordSuccess(CALL, "a");
  assertEquals(look(), []);
  const rated = scene({ failureRateThreshold: 0.5, windowMs: 10_000, minimumThroughput: 2 });
  await rated.circuits.recordFailure(CALL, "a");
  await rated.circuits.recordSuccess(CALL, "a");
  assertEquals(rated.look(), ["trip"]);
});

Deno.test("MemoryCircuits counts refusals of circuits that there are, and lists them", async () => {
  const { circuits } = scene();
  circuits.countRefused("a");
  assertEquals(await circuits.list(CALL, LIST), []);
  await circuits.transition(CALL, "a", "open");
  circuits.countRefused("a");
  circuits.countRefused("a");
  const [listed] = await circuits.list(CALL, LIST);
  assertEquals([listed!.refusedCount, listed!.lastCause, listed!.lastActor], [
    2,
    "trip",
    "one",
  ]);
  await circuits.reset(CALL, "a", RELEASE);
  await circuits.recordFailure(CALL, "a");
  assertEquals((await circuits.list(CALL, LIST))[0]!.refusedCount, 0);
});

Deno.test("MemoryCircuits without a log lists no cause, and has no changes to read", async () => {
  const circuits = new MemoryCircuits(rulesOf({}), () => 0, "local");
  await circuits.transition(CALL, "a", "open");
  const [listed] = await circuits.list(CALL, LIST);
  assertEquals([listed!.state, "lastCause" in listed!], ["open", false]);
  await assertRejects(
    () => circuits.log(CALL, EVERYTHING),
    TypeError,
    "Cannot read changes: these circuits have no log",
  );
});

Deno.test("MemoryCircuits gives no name for who forces a circuit where no name is known", async () => {
  const circuits = new MemoryCircuits(rulesOf({}), () => 0, "local");
  assertEquals((await circuits.force(CALL, "a", force("open"))).circuit!.forced!.by, "");
});

Deno.test("MemoryCircuits lists the last change that the log keeps of a circuit", async () => {
  const { circuits } = scene({}, 1);
  await circuits.transition(CALL, "a", "open");
  await circuits.reset(CALL, "a", RELEASE);
  await circuits.recordFailure(CALL, "a");
  assertEquals((await circuits.list(CALL, LIST)).map(({ lastCause }) => lastCause), ["reset"]);
  await circuits.transition(CALL, "b", "open");
  const causes = (await circuits.list(CALL, LIST)).map(({ key, lastCause }) => [key, lastCause]);
  assertEquals(causes, [["a", undefined], ["b", "trip"]]);
});

Deno.test("MemoryCircuits answers of memory what it has, and says where another store may know more", async () => {
  const { circuits } = scene();
  assertEquals(circuits.known("a"), undefined);
  assertEquals(circuits.countSuccess("a", false), true);
  assertEquals((circuits.known("a") as Circuit).successCount, 1);
  assertEquals((await circuits.read(CALL, "a")).circuit!.successCount, 1);
  const other = local([]);
  assertEquals(other.known("a"), "unknown");
  await other.recordSuccess(CALL, "a");
  assertEquals((other.known("a") as Circuit).successCount, 1);
});

Deno.test("local MemoryCircuits begin with what another store knew, and keep those used last", async () => {
  const known = { ...ABSENT_CIRCUIT, key: "a", failureCount: 2, lastFailureTime: 49_000 };
  const circuits = local([known, { ...known, key: "b", state: "open", failureCount: 7 }], {
    ...{ trip: "store", failureThreshold: 3 },
  });
  assertEquals((await circuits.read(CALL, "a")).circuit!.failureCount, 2);
  assertEquals((await circuits.recordFailure(CALL, "a")).circuit.state, "open");
  const { circuit, source } = await circuits.read(CALL, "b");
  assertEquals([circuit!.state, circuit!.failureCount, source], ["open", 7, "local"]);
  await circuits.recordSuccess(CALL, "c");
  assertEquals((await circuits.list(CALL, LIST)).map(({ key }) => key), ["b", "c"]);
  circuits.clear();
  assertEquals(await circuits.list(CALL, LIST), []);
});

Deno.test("local MemoryCircuits count calls for a rate from their own first one on", async () => {
  const known = { ...ABSENT_CIRCUIT, key: "a", failureCount: 5, lastFailureTime: 49_000 };
  const rate = { failureRateThreshold: 0.5, windowMs: 10_000, minimumThroughput: 2 };
  const circuits = local([known], rate);
  assertEquals((await circuits.recordFailure(CALL, "a")).circuit.state, "closed");
  assertEquals((await circuits.recordFailure(CALL, "a")).circuit.state, "open");
});

Deno.test("MemoryCircuits prunes what is closed and idle for longer, and keeps what has a version for an hour", async () => {
  const { circuits, clock } = scene();
  for (const key of ["a", "b", "c", "d"]) await circuits.recordSuccess(CALL, key);
  await circuits.transition(CALL, "c", "closed");
  await circuits.recordSuccess(CALL, "c");
  await circuits.transition(CALL, "d", "open");
  const prune = (idleMs: number, limit = 10) =>
    circuits.prune(CALL, { idleMs, limit, isElected: false });
  clock.at += 1000;
  assertEquals(await prune(1000), 0);
  clock.at += 1;
  assertEquals(await prune(1000, 1), 1);
  assertEquals((await circuits.list(CALL, LIST)).map(({ key }) => key), ["b", "c", "d"]);
  assertEquals(await prune(1000), 1);
  clock.at += 3_600_000 - 1001;
  assertEquals(await prune(1000), 0);
  clock.at += 1;
  assertEquals(await prune(1000), 1);
  assertEquals((await circuits.list(CALL, LIST)).map(({ key }) => key), ["d"]);
});

Deno.test("MemoryCircuits admits no claim of a forced circuit, until the force has ended", async () => {
  const { circuits, clock } = scene();
  await circuits.transition(CALL, "a", "open");
  clock.at += RESET;
  await circuits.force(CALL, "a", force("open", 100));
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, false);
  clock.at += 100;
  assertEquals((await circuits.claim(CALL, "a", 0)).isAdmitted, true);
});
