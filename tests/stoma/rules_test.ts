/** What Stoma's `circuitBreaker` policy does with a store that has the same options and more. */

import { assert, assertEquals } from "@std/assert";
import type { PostgresCircuitBreakerStoreOptions } from "../../mod.ts";
import { type Answer, answerOf, openStage, type Stage } from "./stage.ts";

const POLICY = { failureThreshold: 1, resetTimeoutMs: 10_000 };

function openWith(options: PostgresCircuitBreakerStoreOptions): Promise<Stage> {
  return openStage(POLICY, undefined, { ...POLICY, ...options });
}

function assertRefused({ status, retryAfter }: Answer, least: number, most: number): void {
  assertEquals(status, 503);
  const seconds = Number(retryAfter);
  assert(seconds >= least && seconds <= most, `Retry-After ${retryAfter}`);
}

Deno.test("Stoma's policy names the grown reset timeout as Retry-After", async () => {
  await using stage = await openWith({ resetBackoff: { factor: 3 } });
  stage.upstream.respond = () => answerOf(500);
  assertEquals((await stage.request()).status, 500);
  for (const timeout of [10, 30, 90]) {
    assertRefused(await stage.request(), timeout - 1, timeout);
    await stage.age(timeout * 1000);
    assertEquals((await stage.request()).status, 500);
  }
  assertRefused(await stage.request(), 269, 270);
});

Deno.test("Stoma's policy sends one probe after the other until the successes suffice", async () => {
  await using stage = await openWith({ successThreshold: 3 });
  stage.upstream.respond = () => answerOf(500);
  await stage.request();
  await stage.age(10_000);
  stage.upstream.respond = () => answerOf(200);
  const states: string[] = [];
  for (let probe = 0; probe < 3; probe++) {
    assertEquals((await stage.request()).status, 200);
    states.push((await stage.store.peek("/orders")).state);
  }
  assertEquals(states, ["half-open", "half-open", "closed"]);
});

Deno.test("Stoma's policy refuses for a second while the circuit ramps up", async () => {
  await using stage = await openWith({ rampUpMs: 3_600_000 });
  stage.upstream.respond = () => answerOf(500);
  await stage.request();
  await stage.age(10_000);
  stage.upstream.respond = () => answerOf(200);
  assertEquals((await stage.request()).status, 200);
  const answers: Answer[] = [];
  for (let request = 0; request < 200; request++) answers.push(await stage.request());
  const refused = answers.filter(({ status }) => status === 503);
  assert(refused.length > 140 && refused.length < 200, `${refused.length} refused`);
  for (const answer of refused) assertRefused(answer, 1, 1);
});
