import { assert, assertEquals } from "@std/assert";
import { IGNORED_IN_MEMORY, resolveOptions, STORE_OPTIONS } from "../../src/options/resolve.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../src/options/store_options.ts";

/** What some options need, so that each can be changed alone. */
const NEEDED = { resetTimeoutMs: 1000, failureThreshold: 3, now: () => 1 };

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
};

function resolved(options: object) {
  return resolveOptions({ ...NEEDED, ...options } as PostgresCircuitBreakerStoreOptions);
}

/** Whether an option changes what the store in memory takes out of all options: clock and rules. */
function isUsedInMemory(name: string): boolean {
  const [before, after] = [resolved({}), resolved({ [name]: OTHERS[name] })];
  return before.now !== after.now || JSON.stringify(before.rules) !== JSON.stringify(after.rules);
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
  assertEquals(resolveOptions(absent), resolveOptions({}));
});
