import { assert, assertEquals } from "@std/assert";
import { BackgroundPruner } from "../../src/outage/background_pruner.ts";

Deno.test("BackgroundPruner goes on after a pruning that failed, one at a time, until it ends", async () => {
  // Its own timer keeps no process alive.
  const alive = setTimeout(() => {}, 60_000);
  const asked: number[][] = [];
  let underWay = 0;
  const third = Promise.withResolvers<void>();
  const pruner = new BackgroundPruner(async (...limits) => {
    assertEquals(++underWay, 1);
    asked.push(limits);
    await undefined;
    underWay--;
    if (asked.length === 3) third.resolve();
    else throw new Error("out");
  }, 2);
  await third.promise;
  pruner.end();
  // Longer than the longest interval.
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(asked.length, 3);
  assert(asked.every(([idleMs, limit]) => idleMs === 2 && limit === 10_000));
  clearTimeout(alive);
});
