/** Reads of many circuits at once, beside what is cached: an instance does not go back in what it knows. */

import { assertEquals } from "@std/assert";
import type { Circuit } from "../../src/circuit.ts";
import { type ModelInstance, Scene } from "./model_network.ts";

const LIST = { state: undefined, after: undefined, limit: 10 };

const MANY: Record<string, (one: ModelInstance) => Promise<Circuit[]>> = {
  readMany: (one) => one.cache.readMany(one.call(), ["a"]),
  list: (one) => one.cache.list(one.call(), LIST),
};

/** One instance that has cached a closed circuit, which another one then opens. */
async function openScene(): Promise<{ scene: Scene; one: ModelInstance; other: ModelInstance }> {
  const scene = new Scene();
  scene.database.addCircuits(["a"]);
  const one = scene.open();
  await one.useRegularly("a");
  return { scene, one, other: scene.open() };
}

for (const [name, readMany] of Object.entries(MANY)) {
  Deno.test(`${name} overtakes the cache, which shows no older state afterwards`, async () => {
    const { scene, one, other } = await openScene();
    await using _ = scene;
    await other.done(other.transition("a", "open"));
    assertEquals((await one.read("a"))!.state, "closed", "from memory, within the bound");
    assertEquals((await one.done(readMany(one)))[0]!.state, "open");
    assertEquals((await one.done(one.read("a")))!.state, "open");
  });

  Deno.test(`${name} that shows what is known leaves it known`, async () => {
    const { scene, one } = await openScene();
    await using _ = scene;
    await one.done(readMany(one));
    assertEquals((await one.cache.read(one.call(), "a")).source, "cache");
  });

  Deno.test(`${name} that local circuits may have answered is not kept`, async () => {
    const { scene, one } = await openScene();
    await using _ = scene;
    const row = scene.database.read("a")!;
    await one.done(one.transition("a", "open"));
    // An overload: the local circuits know the last answer of before, and no outage is known.
    const opened = scene.database.read("a")!;
    scene.database.rows.set("a", row);
    assertEquals((await one.done(readMany(one)))[0]!.state, "closed");
    scene.database.rows.set("a", opened);
    assertEquals((await one.done(one.read("a")))!.state, "open");
  });

  Deno.test(`${name} that was asked for before a write of the instance takes nothing from it`, async () => {
    const { scene, one } = await openScene();
    await using _ = scene;
    const reading = readMany(one);
    await one.execute(name as "readMany" | "list");
    const moving = one.transition("a", "open");
    await one.answer("transition");
    await moving;
    await one.answer(name as "readMany" | "list");
    await reading;
    assertEquals((await one.done(one.read("a")))!.state, "open");
  });

  Deno.test(`${name} that is answered while the database is out makes a circuit unknown`, async () => {
    const { scene, one, other } = await openScene();
    await using _ = scene;
    await other.done(other.transition("a", "open"));
    const reading = readMany(one);
    await one.execute(name as "readMany" | "list");
    one.isOut = true;
    await one.answer(name as "readMany" | "list");
    assertEquals((await reading)[0]!.state, "open");
    one.isOut = false;
    assertEquals((await one.done(one.read("a")))!.state, "open");
  });
}

Deno.test("the answer to a write from before a circuit was forgotten is not kept", async () => {
  const { scene, one, other } = await openScene();
  await using _ = scene;
  const recording = one.recordFailure("a");
  await one.execute("recordFailure");
  await other.done(other.transition("a", "open"));
  const reading = one.cache.readMany(one.call(), ["a"]);
  one.isOut = true;
  await one.answer("readMany");
  assertEquals((await reading)[0]!.state, "open");
  one.isOut = false;
  await one.answer("recordFailure");
  assertEquals((await recording).state, "closed");
  assertEquals((await one.done(one.read("a")))!.state, "open");
});
