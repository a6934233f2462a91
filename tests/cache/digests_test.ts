import { assert, assertEquals } from "@std/assert";
import { keyDigest } from "../../src/key.ts";
import { Digests } from "../../src/cache/digests.ts";
import { until } from "../support/until.ts";

/** What runs instead of `crypto.subtle.digest` during a piece of work. */
type Replacement = (digest: () => Promise<ArrayBuffer>) => Promise<ArrayBuffer>;

async function replaceDigest(replacement: Replacement, work: () => Promise<void>): Promise<void> {
  const { subtle } = crypto;
  Object.defineProperty(subtle, "digest", {
    configurable: true,
    value: (...args: Parameters<SubtleCrypto["digest"]>) =>
      replacement(() => SubtleCrypto.prototype.digest.apply(subtle, args)),
  });
  try {
    await work();
  } finally {
    Reflect.deleteProperty(subtle, "digest");
  }
}

Deno.test("Digests finds a circuit by its digest, and only while it is in use", async () => {
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

Deno.test("Digests keeps a circuit that is dropped and added again while its digest is computed", async () => {
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

Deno.test("Digests computes a few digests at a time in a flood, and only for circuits still in use", async () => {
  const digests = new Digests();
  const last = await keyDigest("99999");
  let [total, underWay, most] = [0, 0, 0];
  const counting: Replacement = async (digest) => {
    total++;
    most = Math.max(most, ++underWay);
    return await digest().finally(() => underWay--);
  };
  await replaceDigest(counting, async () => {
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

Deno.test("Digests computes all others when one digest fails", async () => {
  const digests = new Digests();
  const digest = await keyDigest("b");
  let failures = 0;
  const failing: Replacement = (digest) =>
    failures++ === 0 ? Promise.reject(new Error("no thread is free")) : digest();
  await replaceDigest(failing, async () => {
    digests.add("a");
    digests.add("b");
    await until(() => digests.keyOf(digest) === "b");
  });
  assertEquals(digests.keyOf(await keyDigest("a")), undefined);
});
