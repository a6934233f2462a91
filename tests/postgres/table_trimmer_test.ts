import { assertEquals } from "@std/assert";
import { TableTrimmer } from "../../src/postgres/table_trimmer.ts";

/** A trimmer of 100 circuits whose trims a test ends. */
function scene() {
  const trims: PromiseWithResolvers<void>[] = [];
  const trimmer = new TableTrimmer(100, () => {
    const trim = Promise.withResolvers<void>();
    trims.push(trim);
    return trim.promise;
  });
  const add = async (rows: number) => {
    trimmer.onAdded(rows);
    await settled();
    return trims.length;
  };
  return { trims, add };
}

/** Resolves when all that follows what has happened so far has been done, too. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("TableTrimmer trims at each tenth, one trim at a time", async () => {
  const { trims, add } = scene();
  assertEquals([await add(9), await add(1)], [0, 1]);
  // What grows during a trim is trimmed after it.
  assertEquals([await add(9), await add(15)], [1, 1]);
  trims[0]!.resolve();
  await settled();
  assertEquals(trims.length, 2);
  trims[1]!.resolve();
  await settled();
  assertEquals([trims.length, await add(9), await add(1)], [2, 2, 3]);
});

Deno.test("TableTrimmer tries again at the next tenth after a trim that failed", async () => {
  const { trims, add } = scene();
  assertEquals(await add(10), 1);
  trims[0]!.reject(new Error("out"));
  await settled();
  assertEquals([await add(9), await add(1)], [1, 2]);
});
