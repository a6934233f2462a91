import { assert, assertEquals } from "@std/assert";
import { keyDigest } from "../../src/key.ts";
import { Digests } from "../../src/local/digests.ts";

/** Counts the digests that are asked for while it runs, and how many were under way at once. */
async function countDigests(work: () => Promise<void>): Promise<{ total: number; most: number }> {
  const { subtle } = crypto;
  let [total, underWay, most] = [0, 0, 0];
  Object.defineProperty(subtle, "digest", {
    configurable: true,
    value: async (...args: Parameters<SubtleCrypto["digest"]>) => {
      total++;
      most = Math.max(most, ++underWay);
      try {
        return await SubtleCrypto.prototype.digest.apply(subtle, args);
      } finally {
        underWay--;
      }
    },
  });
  try {
    await work();
  } finally {
    Reflect.deleteProperty(subtle, "digest");
  }
  return { total, most };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !isTrue(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert(isTrue());
}

Deno.test("a circuit in use is found by its digest, and not when it is out of use", async () => {
  const digests = new Digests();
  const digest = await keyDigest("a");
  digests.add("a");
  await until(() => digests.keyOf(digest) === "a");
  assertEquals(digests.size, 1);
  digests.delete("a");
  assertEquals([digests.keyOf(digest), digests.size], [undefined, 0]);
  digests.add("a");
  await until(() => digests.keyOf(digest) === "a");
});

Deno.test("a circuit that goes and comes back while its digest is computed is in use", async () => {
  const digests = new Digests();
  const digest = await keyDigest("a");
  digests.add("a");
  digests.delete("a");
  digests.add("a");
  await until(() => digests.keyOf(digest) === "a");
  digests.add("b");
  digests.delete("b");
  digests.add("c");
  const other = await keyDigest("c");
  await until(() => digests.keyOf(other) === "c");
  assertEquals(digests.keyOf(await keyDigest("b")), undefined);
  assertEquals(digests.size, 2);
});

Deno.test("a flood of circuits is digested a few at a time, and only those still in use", async () => {
  const digests = new Digests();
  const last = await keyDigest("99999");
  const { total, most } = await countDigests(async () => {
    for (let index = 0; index < 100_000; index++) {
      digests.add(`${index}`);
      if (index >= 1000) digests.delete(`${index - 1000}`);
    }
    await until(() => digests.keyOf(last) !== undefined);
  });
  assertEquals(digests.size, 1000);
  assert(total >= 1000 && total < 1100, `${total} digests`);
  assert(most <= 16, `${most} at once`);
});
