import { assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { readChanges } from "../../src/dashboard/change_pages.ts";

Deno.test("readChanges() reads on behind a full page, and keeps the newest", async () => {
  const store = new InMemoryCircuitBreakerStore({ historyRows: 20_000 });
  const wanted = { storedKey: undefined, since: 0, limit: 3 };
  for (let i = 0; i < 10_000; i++) await store.transition(`k${i}`, "open");
  assertEquals((await readChanges(store, wanted)).total, 10_000);
  for (const key of ["x", "y"]) await store.transition(key, "open");
  const { total, changes } = await readChanges(store, wanted);
  assertEquals([total, ...changes.map(({ key }) => key)], [10_002, "k9999", "x", "y"]);
  const one = await readChanges(store, { ...wanted, storedKey: "x" });
  assertEquals([one.total, one.changes[0]?.key], [1, "x"]);
});
