import { assertEquals } from "@std/assert";
import type { PostgresCircuitBreakerStoreOptions } from "../../mod.ts";
import { Admission } from "../../src/admission/admission.ts";
import { observed, ObservedCircuits } from "../../src/admission/observed_circuits.ts";
import { cursorKey } from "../../src/key.ts";
import type { PruneRequest, StoreObserver } from "../../src/ports.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
import { rulesOf } from "../support/rules.ts";

const RESET = 1000;
const LEASE = 400;
const OBSERVING_NOTHING: StoreObserver = {};

/** An instance on circuits in memory, and what its observer sees. */
function scene(options: PostgresCircuitBreakerStoreOptions = {}, observer?: StoreObserver) {
  const clock = { at: 50_000 };
  const random = { next: 0 };
  const seen: string[] = [];
  const refused: string[] = [];
  const rules = rulesOf({ resetTimeoutMs: RESET, probeTimeoutMs: LEASE, ...options });
  const circuits = new MemoryCircuits(rules, () => clock.at, "database");
  const admission = new Admission({
    ...options.mode === "observe"
      ? observed(new ObservedCircuits(circuits, rules, circuits), rules)
      : { circuits, rules, quick: circuits },
    clock: { now: () => clock.at, toCaller: (time) => time },
    begin: () => IMMEDIATE_CALL,
    random: () => random.next,
    onRefused: ({ key }) => refused.push(key),
    observed: {
      observer: observer ?? {
        onAdmitted: (key, isProbe) => seen.push(`${isProbe ? "probe" : "call"} on ${key}`),
        onRefused: (key, state) => seen.push(`refused by ${key}, ${state}`),
        onResult: (key, outcome) => seen.push(`${outcome} on ${key}`),
      },
    },
  });
  /** What was seen since the last look. */
  const look = () => seen.splice(0);
  return { admission, circuits, clock, random, refused, look };
}

type Scene = ReturnType<typeof scene>;

/** Everything that an observer is shown, for requests of `getState` and of `acquire`. */
async function playAll({ admission, clock, random }: Scene): Promise<void> {
  const ask = async () => {
    await admission.getState("api");
    return await admission.acquire("api", undefined);
  };
  const permit = await ask();
  await permit.report("ignored");
  await permit.report("success");
  await admission.recordSuccess("api");
  await admission.recordFailure("api");
  await admission.transition("api", "open");
  await (await ask()).report("success");
  clock.at += RESET;
  await admission.getState("api");
  await admission.acquire("api", undefined);
  await admission.transition("api", "closed");
  random.next = 0.5;
  await ask();
  random.next = 0.05;
  await ask();
  await admission.force("api", "closed", {});
  await ask();
  await admission.force("api", "open", {});
  await ask();
}

Deno.test("Admission shows its observer each request, how it was answered, and each result", async () => {
  const played = scene({ rampUpMs: 10_000, halfOpenMax: 1 });
  await playAll(played);
  assertEquals(played.look(), [
    ...["call on api", "call on api", "ignored on api"],
    ...["success on api", "failure on api"],
    ...["refused by api, open", "refused by api, open"],
    ...["probe on api", "refused by api, half-open"],
    ...["refused by api, closed", "refused by api, closed"],
    ...["call on api", "call on api"],
    ...["call on api", "call on api"],
    ...["refused by api, open", "refused by api, open"],
  ]);
  assertEquals(played.refused.length, 7);
});

Deno.test("Admission shows the probe of a permit, its result, and that it was handed back", async () => {
  const { admission, clock, look } = scene();
  await admission.transition("api", "open");
  clock.at += RESET;
  const aborting = new AbortController();
  const { signal } = aborting;
  assertEquals((await admission.acquire("api", { signal })).state, "half-open");
  aborting.abort();
  // What the signal began ends in memory, within a few microtasks.
  for (let i = 0; i < 10; i++) await Promise.resolve();
  const { state, isProbe, allowed, report } = await admission.acquire("api", undefined);
  assertEquals([state, isProbe, allowed], ["half-open", true, true]);
  assertEquals(await report("success"), "closed");
  assertEquals(look(), [
    ...["probe on api", "ignored on api"],
    ...["probe on api", "success on api"],
  ]);
});

Deno.test("a permit shows what an operator forces, and nothing where no operator does", async () => {
  const { admission } = scene();
  const permit = () => admission.acquire("api", undefined);
  assertEquals("forced" in await permit(), false);
  await admission.force("api", "closed", { reason: "calm" });
  const passing = await permit();
  assertEquals([passing.allowed, passing.forced?.reason], [true, "calm"]);
  await admission.force("api", "open", { reason: "upgrade" });
  const refused = await permit();
  assertEquals([refused.allowed, refused.forced?.reason], [false, "upgrade"]);
  await admission.release("api", {});
  assertEquals("forced" in await permit(), false);
});

Deno.test("a permit of a circuit that ramps up shows no force", async () => {
  const { admission, clock } = scene({ rampUpMs: 10_000 });
  await admission.transition("api", "open");
  clock.at += RESET;
  await (await admission.acquire("api", undefined)).report("success");
  const { allowed, isProbe, ...permit } = await admission.acquire("api", undefined);
  assertEquals([allowed, isProbe, "forced" in permit], [true, false, false]);
});

Deno.test("the policy's result is not taken for that of a permit's probe", async () => {
  const { admission, clock } = scene();
  await admission.transition("api", "open");
  clock.at += RESET;
  const { isProbe, report } = await admission.acquire("api", undefined);
  assertEquals(isProbe, true);
  assertEquals((await admission.transition("api", "open")).state, "half-open");
  assertEquals(await report("success"), "closed");
});

Deno.test("a permit of a probe listens to its signal until it is reported", async () => {
  const { admission, clock } = scene();
  await admission.transition("api", "open");
  clock.at += RESET;
  const listeners: unknown[] = [];
  const signal = {
    aborted: false,
    addEventListener: (...given: unknown[]) => void listeners.push(...given),
    removeEventListener: (...given: unknown[]) => void listeners.push(...given),
  };
  const { report } = await admission.acquire("api", { signal });
  const [event, listener] = listeners;
  assertEquals([event, typeof listener, listeners.length], ["abort", "function", 2]);
  await report("success");
  assertEquals(listeners, [event, listener, event, listener]);
});

Deno.test("an observer may leave out what it does not observe", async () => {
  const played = scene({ rampUpMs: 10_000 }, OBSERVING_NOTHING);
  await playAll(played);
  await played.admission.transition("another", "open");
  played.clock.at += RESET;
  assertEquals((await played.admission.acquire("another", undefined)).isProbe, true);
  assertEquals(played.admission.quickCalls!.admits("other"), true);
  assertEquals(played.admission.quickCalls!.countSuccess("other", false), true);
  assertEquals(played.refused.length, 7);
});

Deno.test("quick calls are shown to the observer where they were made", async () => {
  const { admission, look } = scene();
  const quick = admission.quickCalls!;
  assertEquals([quick.admits("api"), quick.countSuccess("api", false)], [true, true]);
  assertEquals(look(), ["call on api", "success on api"]);
  assertEquals(await quick.record("api", "failure", 5), "closed");
  assertEquals(await quick.record("api", "success", 5), "closed");
  const { failureCount, successCount } = await admission.peek("api");
  assertEquals([failureCount, successCount], [1, 2]);
  assertEquals(look(), ["failure on api", "success on api"]);
  await admission.transition("api", "open");
  assertEquals(quick.admits("api"), false);
  assertEquals(quick.admits("not plain\0"), false);
  assertEquals(look(), []);
});

Deno.test("the result of a probe of getState settles its round, and no other does", async () => {
  const { admission, clock } = scene({ halfOpenMax: 2 });
  await admission.transition("api", "open");
  clock.at += RESET;
  assertEquals((await admission.getState("api")).state, "half-open");
  assertEquals((await admission.transition("api", "open")).state, "open");
  clock.at += RESET;
  assertEquals((await admission.getState("api")).state, "half-open");
  assertEquals((await admission.transition("api", "half-open")).state, "half-open");
  assertEquals((await admission.transition("api", "closed")).state, "closed");
});

Deno.test("a circuit without probes of the store's own refuses by its policy, and is not counted as refused", async () => {
  const { admission, refused, look } = scene({
    resetTimeoutMs: undefined,
    probeTimeoutMs: undefined,
  });
  await admission.transition("api", "half-open");
  assertEquals((await admission.getState("api")).state, "half-open");
  assertEquals([refused, look()], [[], []]);
  const { allowed, state, retryAfterMs } = await admission.acquire("api", undefined);
  assertEquals([allowed, state, retryAfterMs], [false, "half-open", 1000]);
  assertEquals([refused, look()], [["api"], ["refused by api, half-open"]]);
});

Deno.test("an observing store takes quick calls only where a result is no probe's", async () => {
  const { admission, circuits, look } = scene({
    ...{ mode: "observe", trip: "store", failureThreshold: 1, rampUpMs: 1000 },
  });
  const quick = admission.quickCalls!;
  assertEquals([quick.admits("api"), quick.countSuccess("api", false)], [true, true]);
  await admission.recordFailure("api");
  assertEquals((await circuits.read(IMMEDIATE_CALL, "api~observed")).circuit?.state, "open");
  assertEquals([quick.admits("api"), quick.countSuccess("api", false)], [true, false]);
  assertEquals(look(), ["call on api", "success on api", "failure on api", "call on api"]);
});

Deno.test("the result of a quick call that takes a statement says how long the call took", async () => {
  const { admission } = scene({
    ...{
      slowCallRateThreshold: 1,
      slowCallDurationMs: 200,
      windowMs: 10_000,
      minimumThroughput: 2,
    },
  });
  const quick = admission.quickCalls!;
  assertEquals([quick.slowMs, await quick.record("api", "success", 200)], [200, "closed"]);
  assertEquals(await quick.record("api", "failure", 200), "open");
});

Deno.test("prune() of a caller is not that of one elected instance", async () => {
  const { admission, circuits } = scene();
  const requests: PruneRequest[] = [];
  circuits.prune = (_call, request) => {
    requests.push(request);
    return Promise.resolve(3);
  };
  assertEquals(await admission.prune({ idleMs: 5000 }), 3);
  assertEquals(requests.map(({ idleMs, isElected }) => [idleMs, isElected]), [[5000, false]]);
});

Deno.test("list() goes on after the form of a key in which circuits are stored", async () => {
  const { admission, circuits } = scene();
  const after: unknown[] = [];
  circuits.list = (_call, options) => {
    after.push(options.after);
    return Promise.resolve([]);
  };
  for (const key of ["api", "a\0b"]) await admission.list({ after: key });
  assertEquals(after, ["api", await cursorKey("a\0b")]);
});
