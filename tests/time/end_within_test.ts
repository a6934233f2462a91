import { assertEquals, assertRejects } from "@std/assert";
import { isStoreTimeoutError } from "../../mod.ts";
import { endWithin } from "../../src/time/end_within.ts";

Deno.test("endWithin passes on what work in time becomes, and leaves no timer behind", async () => {
  assertEquals(await endWithin(60_000, "close", Promise.resolve(7)), 7);
  const error = await assertRejects(() =>
    endWithin(60_000, "close", Promise.reject(new Error("a")))
  );
  assertEquals((error as Error).message, "a");
});

Deno.test("endWithin ends what takes too long", async () => {
  const error = await assertRejects(
    () => endWithin(20, "close", new Promise<never>(() => {})),
    Error,
    "Cannot close: no answer in 20 ms",
  );
  assertEquals(isStoreTimeoutError(error), true);
});

Deno.test("endWithin reads an answer that came while the process was held up", async () => {
  const worker = new Worker(
    `data:text/javascript,${
      encodeURIComponent(`
      onmessage = () => { setTimeout(() => postMessage("answer"), 30) };
      postMessage("ready");
    `)
    }`,
    { type: "module" },
  );
  await new Promise((resolve) => worker.onmessage = resolve);
  const answer = new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
  });
  worker.postMessage("ask");
  const ended = endWithin(60, "close", answer);
  // The answer is there long before this ends, and the process could not read it.
  for (const begin = performance.now(); performance.now() - begin < 200;);
  assertEquals(await ended, "answer");
  worker.terminate();
});
