import { assert, assertEquals } from "@std/assert";
import { IGNORED_IN_MEMORY, resolveOptions, STORE_OPTIONS } from "../../src/options/resolve.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../src/options/store_options.ts";

/** What some options need, so that each can be changed alone. */
const NEEDED = {
  resetTimeoutMs: 1000,
  failureThreshold: 3,
  maxStalenessMs: 500,
  instanceId: "gateway",
  now: () => 1,
};

/** A value for each option that differs from its default and from what is needed. */
const OTHERS: Record<string, unknown> = {
  table: "circuits",
  now: () => 2,
  resetTimeoutMs: 2000,
  halfOpenMax: 2,
  probeTimeoutMs: 3000,
  failureThreshold: 4,
  failureWindowMs: 5000,
  timeoutMs: 6000,
  onOutage: "local",
  onOutageChange: () => {},
  onError: () => {},
  durability: "relaxed",
  pruneIdleMs: 7000,
  maxCircuits: 800,
  maxStalenessMs: 9000,
  countWithinMs: 10_000,
  historyMs: 11_000,
  historyRows: 1200,
  instanceId: "gateway-13",
};

function resolved(options: object) {
  return resolveOptions({ ...NEEDED, ...options } as PostgresCircuitBreakerStoreOptions);
}

/** Whether an option changes what the store in memory takes out of all options. */
function isUsedInMemory(name: string): boolean {
  const [before, after] = [resolved({}), resolved({ [name]: OTHERS[name] })];
  const taken = ({ rules, historyMs, historyRows, instanceId }: typeof before) =>
    JSON.stringify({ rules, historyMs, historyRows, instanceId });
  return before.now !== after.now || taken(before) !== taken(after);
}

Deno.test("every option of a store does something", () => {
  assertEquals(Object.keys(OTHERS).toSorted(), STORE_OPTIONS.toSorted());
  for (const name of STORE_OPTIONS) {
    const [before, after] = [resolved({}), resolved({ [name]: OTHERS[name] })];
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
  const { instanceId, ...others } = resolveOptions({});
  const { instanceId: other, ...sameOthers } = resolveOptions(absent);
  assertEquals(sameOthers, others);
  // A random label for each store.
  assert(instanceId.length >= 30 && instanceId !== other, instanceId);
});

Deno.test("options of the log and the cache have defaults", () => {
  const { countWithinMs, historyMs, historyRows } = resolveOptions({});
  assertEquals([countWithinMs, historyMs, historyRows], [60_000, 30 * 86_400_000, 100_000]);
  assertEquals(resolved({ historyMs: 0.5 }).historyMs, 1);
  assertEquals(resolved({ instanceId: "a\0b\ud800" }).instanceId, "a\ufffdb\ufffd");
  assertEquals(resolved({ maxStalenessMs: 0, countWithinMs: 5 }).countWithinMs, 5);
});
