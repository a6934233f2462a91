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
      onmessage = ({ data }) => {
        postMessage("answer");
        Atomics.store(data, 0, 1);
      };
      postMessage("ready");
    `)
    }`,
    { type: "module" },
  );
  await new Promise((resolve) => worker.onmessage = resolve);
  const answer = new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
  });
  const isAnswered = new Int32Array(new SharedArrayBuffer(4));
  const ended = endWithin(60, "close", answer);
  worker.postMessage(isAnswered);
  // The answer is there when this ends, and the process could not read it.
  const begin = performance.now();
  while (Atomics.load(isAnswered, 0) === 0 || performance.now() - begin < 100);
  assertEquals(await ended, "answer");
  worker.terminate();
});
