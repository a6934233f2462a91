import { assert, assertEquals, assertThrows } from "@std/assert";
import { IGNORED_IN_MEMORY, resolveOptions } from "../../src/options/resolve.ts";
import { STORE_OPTIONS } from "../../src/options/store_checks.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../src/options/store_options.ts";

/** What some options need, so that each can be changed alone. */
const NEEDED = {
  resetTimeoutMs: 1000,
  failureThreshold: 3,
  maxStalenessMs: 500,
  instanceId: "gateway",
  now: () => 1,
  failureRateThreshold: 0.5,
  slowCallRateThreshold: 0.5,
  slowCallDurationMs: 100,
};

/** A value for each option that differs from its default and from what is needed. */
const OTHERS: Record<string, unknown> = {
  table: "circuits",
  now: () => 2,
  resetTimeoutMs: 2000,
  halfOpenMax: 2,
  probeTimeoutMs: 3000,
  successThreshold: 3,
  resetBackoff: { factor: 3 },
  rampUpMs: 3500,
  failureThreshold: 4,
  failureWindowMs: 5000,
  quorum: 2,
  timeoutMs: 6000,
  onOutage: "local",
  onOutageChange: () => {},
  onError: () => {},
  durability: "relaxed",
  pruneIdleMs: 7000,
  maxCircuits: 800,
  maxStalenessMs: 9000,
  countWithinMs: 12_000,
  historyMs: 11_000,
  historyRows: 1200,
  instanceId: "gateway-13",
  waitUntil: () => {},
  trip: "caller",
  failureRateThreshold: 0.6,
  slowCallRateThreshold: 0.7,
  slowCallDurationMs: 200,
  windowMs: 30_000,
  minimumThroughput: 100,
  mode: "observe",
};
/** Options whose other value needs that some are absent. */
const WITHOUT: Record<string, object> = {
  waitUntil: { quorum: undefined, pruneIdleMs: undefined, maxCircuits: undefined },
  trip: {
    failureRateThreshold: undefined,
    slowCallRateThreshold: undefined,
    slowCallDurationMs: undefined,
    failureWindowMs: 1000,
  },
};

function resolved(options: object) {
  return resolveOptions({ ...NEEDED, ...options } as PostgresCircuitBreakerStoreOptions);
}

/** What is resolved without and with another value of an option. */
function withOther(name: string) {
  const without = WITHOUT[name] ?? {};
  return [resolved(without), resolved({ ...without, [name]: OTHERS[name] })] as const;
}

/** Whether an option changes what the store in memory takes out of all options. */
function isUsedInMemory(name: string): boolean {
  const [before, after] = withOther(name);
  const taken = ({ rules, historyMs, historyRows, instanceId, isObserving }: typeof before) =>
    JSON.stringify({ rules, historyMs, historyRows, instanceId, isObserving });
  return before.now !== after.now || taken(before) !== taken(after);
}

Deno.test("every option of a store does something", () => {
  assertEquals(Object.keys(OTHERS).toSorted(), STORE_OPTIONS.toSorted());
  for (const name of STORE_OPTIONS) {
    const [before, after] = withOther(name);
    const differs = Object.keys(after).some((each) =>
      Deno.inspect(before[each as keyof typeof before]) !==
        Deno.inspect(after[each as keyof typeof after]) ||
      before.now !== after.now
    );
    assert(differs, name);
  }
});

Deno.test("the store in memory ignores exactly the options that it says it ignores", async () => {
  const ignored = STORE_OPTIONS.filter((name) => !isUsedInMemory(name));
  assertEquals(ignored.toSorted(), IGNORED_IN_MEMORY.toSorted());
  const source = await Deno.readTextFile(new URL("../../src/memory_store.ts", import.meta.url));
  const [, listed] = /ignores those that only a database needs:([^.]+)\./.exec(source)!;
  const names = [...listed!.matchAll(/`(\w+)`/g)].map(([, name]) => name!);
  assertEquals(names.toSorted(), IGNORED_IN_MEMORY.toSorted());
});

Deno.test("undefined means the same as absent for every option", () => {
  const absent = Object.fromEntries(STORE_OPTIONS.map((name) => [name, undefined]));
  assertEquals(resolveOptions(absent), resolveOptions({}));
});

Deno.test("rules have defaults, and a window, a rate or a threshold decides who opens circuits", () => {
  const tripOf = (options: object) =>
    resolveOptions(options as PostgresCircuitBreakerStoreOptions).rules.trip;
  const byCaller = { isByStore: false, rates: undefined };
  const byStore = { isByStore: true, rates: undefined };
  assertEquals(tripOf({}), byCaller);
  assertEquals(tripOf({ failureThreshold: 5 }), byCaller);
  assertEquals(tripOf({ failureThreshold: Infinity, trip: undefined }), byCaller);
  assertEquals(tripOf({ failureThreshold: 5, trip: "store" }), byStore);
  assertEquals(tripOf({ failureThreshold: 5, failureWindowMs: 1000 }), byStore);
  assertEquals(tripOf({ failureThreshold: 5, failureWindowMs: 1000, trip: "caller" }), byCaller);
  assertEquals(tripOf({ failureRateThreshold: 0.5 }), {
    isByStore: true,
    rates: { failureRate: 0.5, slowRate: undefined, windowMs: 60_000, minimumThroughput: 20 },
  });
  assertEquals(
    tripOf({ slowCallRateThreshold: 1, slowCallDurationMs: 9, windowMs: 10.5 }).rates,
    { failureRate: undefined, slowRate: 1, windowMs: 11, minimumThroughput: 20 },
  );
  // A store that opens circuits closes them again as well.
  assertEquals(resolveOptions({ failureRateThreshold: 0.5 }).rules.probing?.resetTimeoutMs, 30_000);
  assertEquals(resolveOptions({}).rules.probing, undefined);
});

Deno.test("options of the log and the cache have defaults", () => {
  const { countWithinMs, historyMs, historyRows } = resolveOptions({});
  assertEquals([countWithinMs, historyMs, historyRows], [60_000, 30 * 86_400_000, 100_000]);
  assertEquals(resolved({ historyMs: 0.5 }).historyMs, 1);
  assertEquals(resolved({ instanceId: "a\0b\ud800" }).instanceId, "a\ufffdb\ufffd");
  assertEquals(resolved({ maxStalenessMs: 0, countWithinMs: 5 }).countWithinMs, 5);
});

Deno.test("a quorum is from 2 to 16, implies that the store opens circuits, and a reset timeout", () => {
  const { rules } = resolveOptions({ quorum: 2, failureThreshold: 5 });
  assertEquals([rules.quorum, rules.trip.isByStore], [2, true]);
  assertEquals(rules.probing!.resetTimeoutMs, 30_000);
  assertEquals(resolveOptions({ failureThreshold: 5 }).rules.quorum, undefined);
  for (const quorum of [1, 17, 2.5, NaN, Infinity]) {
    assertThrows(() => resolveOptions({ quorum, failureThreshold: 5 }), RangeError, '"quorum"');
  }
  const wrong = "2" as unknown as number;
  assertThrows(() => resolveOptions({ quorum: wrong, failureThreshold: 5 }), TypeError, '"quorum"');
});
