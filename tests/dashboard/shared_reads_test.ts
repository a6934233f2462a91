import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { SharedReads } from "../../src/dashboard/shared_reads.ts";

Deno.test("SharedReads asks once for those who ask while an answer is under way", async () => {
  const reads = new SharedReads();
  const { promise, resolve } = Promise.withResolvers<string>();
  const answers = [reads.read("q", () => promise), reads.read("q", () => Promise.resolve("other"))];
  resolve("one");
  assertEquals(await Promise.all(answers), ["one", "one"]);
  reads.forget();
  assertEquals(await reads.read("q", () => Promise.resolve("anew")), "anew");
});

Deno.test("SharedReads keeps no failure for those who ask later", async () => {
  const reads = new SharedReads();
  await assertRejects(() => reads.read("q", () => Promise.reject(new Error("out"))), Error, "out");
  assertEquals(await reads.read("q", () => Promise.resolve("well")), "well");
});

Deno.test("SharedReads keeps a bounded number of answers, whatever browsers ask", async () => {
  const reads = new SharedReads();
  const asked = new Map<string, number>();
  const ask = (question: string) =>
    reads.read(question, () => {
      asked.set(question, (asked.get(question) ?? 0) + 1);
      return Promise.resolve(question);
    });
  const first = ask("0");
  for (let i = 1; i < 100; i++) void ask(String(i));
  assertStrictEquals(ask("0"), first);
  await ask("100");
  assertEquals(await ask("0"), "0");
  assertEquals([asked.get("0"), asked.get("1"), asked.get("100")], [2, 1, 1]);
});
