/** Requests and answers of unusual forms, through `wrapFetch`. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { isCallTimeoutError } from "../../mod.ts";
import { ok, Scene, text } from "./fetch_scene.ts";

Deno.test("wrapFetch() counts no request that cannot be made, whatever its form", async () => {
  await using scene = new Scene(ok);
  const { origin } = scene;
  const guarded = scene.breaker.wrapFetch();
  const wrong = { method: "not a method" };
  const made: [input: string | URL | Request, init: RequestInit][] = [
    [origin, { ...wrong, body: "text" }],
    [origin, { ...wrong, body: new Blob(["text"]).stream() }],
    [new URL(origin), wrong],
    [new Request(origin), wrong],
  ];
  for (const [input, init] of made) await assertRejects(() => guarded(input, init), TypeError);
  assertEquals([scene.paths, await scene.counts()], [[], [0, 0]]);
});

Deno.test("wrapFetch() guards a used Request that is sent with another body", async () => {
  await using scene = new Scene(async (request) => new Response(await request.text()));
  const { origin } = scene;
  const guarded = scene.breaker.wrapFetch();
  const request = new Request(origin, { method: "POST", body: "first" });
  assertEquals(await text(guarded(request)), "first");
  assertEquals(await text(guarded(request, { body: "second" })), "second");
  assertEquals(await scene.counts(), [0, 2]);
});

Deno.test("wrapFetch() takes what a fetch without a signal answers too late, with and without a body", async () => {
  await using scene = new Scene(ok, { callTimeoutMs: 20 });
  let cancelled = 0;
  const body = new ReadableStream({ cancel: () => void cancelled++ });
  const answers = [new Response(body), new Response(null, { status: 204 }), undefined];
  for (const [i, response] of answers.entries()) {
    const late = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const guarded = scene.breaker.wrapFetch(async (_input: string) => {
      await late.promise;
      queueMicrotask(answered.resolve);
      return response as Response;
    }, { key: `late ${i}` });
    const call = guarded(`${scene.origin}/late`);
    const error = await call.catch((error) => error);
    assert(isCallTimeoutError(error));
    late.resolve();
    await answered.promise;
  }
  assertEquals(cancelled, 1);
});
