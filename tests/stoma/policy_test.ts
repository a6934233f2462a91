/** What Stoma's `circuitBreaker` policy does with a store of this package, one gateway alone. */

import { assert, assertEquals } from "@std/assert";
import type { CircuitState } from "../../mod.ts";
import { failureOf } from "../conformance/session.ts";
import type { CircuitBreakerPolicyOptions, StomaPolicy } from "../support/stoma.ts";
import { type Answer, answerOf, openStage, type Stage, stoma } from "./stage.ts";

const RESET_TIMEOUT_MS = 10_000;

/** Opens a stage whose upstream fails from the beginning. */
async function openFailing(
  policy: CircuitBreakerPolicyOptions,
  status = 500,
): Promise<Stage> {
  const stage = await openStage(policy);
  stage.upstream.respond = () => answerOf(status);
  return stage;
}

async function statusesOf(stage: Stage, requests: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < requests; i++) statuses.push((await stage.request()).status);
  return statuses;
}

function assertRefused({ status, body, retryAfter }: Answer): void {
  assertEquals([status, body.error], [503, "circuit_open"]);
  const seconds = Number(retryAfter);
  assert(seconds >= 1 && seconds <= RESET_TIMEOUT_MS / 1000, `Retry-After ${retryAfter}`);
}

Deno.test("Stoma's policy lets requests through a closed circuit", async () => {
  await using stage = await openStage({ failureThreshold: 5 });
  assertEquals(await stage.request(), {
    status: 200,
    retryAfter: null,
    body: { orders: [] },
  });
  assertEquals((await stage.store.getState("/orders")).successCount, 1);
});

Deno.test("Stoma's policy opens the circuit at its threshold, not before", async () => {
  await using stage = await openFailing({ failureThreshold: 3, resetTimeoutMs: RESET_TIMEOUT_MS });
  assertEquals(await statusesOf(stage, 2), [500, 500]);
  assertEquals(await stage.stateOf(), "closed");
  assertEquals(await statusesOf(stage, 1), [500]);
  assertEquals(await stage.stateOf(), "open");

  assertRefused(await stage.request());
  assertEquals(stage.upstream.received, 3);
});

Deno.test("Stoma's policy opens the circuit at five failures by default", async () => {
  await using stage = await openFailing({});
  assertEquals(await statusesOf(stage, 4), [500, 500, 500, 500]);
  assertEquals(await stage.stateOf(), "closed");
  assertEquals(await statusesOf(stage, 1), [500]);
  assertEquals(await stage.stateOf(), "open");
});

Deno.test("Stoma's policy closes the circuit after a probe that succeeds", async () => {
  await using stage = await openFailing({ failureThreshold: 1, resetTimeoutMs: RESET_TIMEOUT_MS });
  await stage.request();
  await stage.age(RESET_TIMEOUT_MS);
  stage.upstream.respond = () => answerOf(200);
  assertEquals(await statusesOf(stage, 1), [200]);
  assertEquals(await stage.stateOf(), "closed");
  assertEquals(await statusesOf(stage, 1), [200]);
});

Deno.test("Stoma's policy opens the circuit again after a probe that fails", async () => {
  await using stage = await openFailing({ failureThreshold: 1, resetTimeoutMs: RESET_TIMEOUT_MS });
  await stage.request();
  await stage.age(RESET_TIMEOUT_MS);
  assertEquals(await statusesOf(stage, 1), [500]);
  assertEquals(await stage.stateOf(), "open");
  assertRefused(await stage.request());
  assertEquals(stage.upstream.received, 2);
});

Deno.test("Stoma's policy counts the statuses as failures that it was given", async () => {
  await using stage = await openFailing({ failureThreshold: 1, failureOn: [418] }, 400);
  assertEquals(await statusesOf(stage, 2), [400, 400]);
  assertEquals(await stage.stateOf(), "closed");
  stage.upstream.respond = () => answerOf(418);
  assertEquals(await statusesOf(stage, 1), [418]);
  assertEquals(await stage.stateOf(), "open");
});

Deno.test("Stoma's policy keeps a circuit for each path, or for each key of its own", async () => {
  await using byPath = await openFailing({ failureThreshold: 1 });
  assertEquals((await byPath.request("/orders")).status, 500);
  byPath.upstream.respond = () => answerOf(200);
  assertEquals((await byPath.request("/orders")).status, 503);
  assertEquals((await byPath.request("/payments")).status, 200);

  await using byKey = await openFailing({ failureThreshold: 1, key: () => "shop" });
  assertEquals((await byKey.request("/orders")).status, 500);
  assertEquals(await byKey.stateOf("shop"), "open");
  assertEquals((await byKey.request("/payments")).status, 503);
});

Deno.test("Stoma's policy keeps its name and its place among policies", async () => {
  await using stage = await openStage({});
  const policy: StomaPolicy & { priority?: number } = stoma.circuitBreaker({ store: stage.store });
  assertEquals([policy.name, policy.priority], ["circuit-breaker", 30]);
});

Deno.test("Stoma's policy lets requests through while the store cannot read", async () => {
  await using stage = await openFailing({ failureThreshold: 1 });
  assertEquals(await statusesOf(stage, 2), [500, 503]);
  await stage.run("alter table stoma_circuit_breakers rename to away");
  await failureOf(() => stage.store.getState("/orders"));
  stage.upstream.respond = () => answerOf(200);
  assertEquals(await statusesOf(stage, 2), [200, 200]);
  await stage.run("alter table away rename to stoma_circuit_breakers");
  assertEquals(await statusesOf(stage, 1), [503]);
});

Deno.test("Stoma's policy passes answers on unharmed when a result cannot be recorded", async () => {
  await using stage = await openStage({ failureThreshold: 1 });
  await stage.run(
    "alter table stoma_circuit_breakers add check (failure_count = 0 and success_count = 0)",
  );
  await failureOf(() => stage.store.recordSuccess("/orders"));
  await failureOf(() => stage.store.recordFailure("/orders"));
  for (const status of [200, 500]) {
    stage.upstream.respond = () => answerOf(status, { data: "important" });
    assertEquals(await stage.request(), { status, retryAfter: null, body: { data: "important" } });
  }
  assertEquals(await stage.stateOf(), "closed");
});

Deno.test("Stoma's policy passes answers on unharmed when the circuit cannot be opened", async () => {
  await using stage = await openFailing({ failureThreshold: 1 });
  await stage.run("alter table stoma_circuit_breakers add check (state <> 'open')");
  await failureOf(() => stage.store.transition("/orders", "open"));
  assertEquals(await statusesOf(stage, 2), [500, 500]);
  assertEquals((await stage.store.getState("/orders")).failureCount, 2);
});

Deno.test("Stoma's policy counts an upstream's error, and hides it behind none of the store", async () => {
  const errors: Error[] = [];
  const onError = (error: Error) => {
    errors.push(error);
    return answerOf(502);
  };
  await using stage = await openStage({ failureThreshold: 2 }, onError);
  const exploded = new Error("upstream exploded");
  stage.upstream.respond = () => {
    throw exploded;
  };
  assertEquals(await statusesOf(stage, 1), [502]);
  assertEquals((await stage.store.getState("/orders")).failureCount, 1);

  await stage.run("alter table stoma_circuit_breakers add check (failure_count < 2)");
  await failureOf(() => stage.store.recordFailure("/orders"));
  assertEquals(await statusesOf(stage, 2), [502, 502]);
  assertEquals(await stage.stateOf(), "closed");
  assert(errors.length === 3 && errors.every((error) => error === exploded), `${errors}`);
});

Deno.test("Stoma's policy reports each change of the circuit once", async () => {
  const changes: [key: string, from: CircuitState, to: CircuitState][] = [];
  await using stage = await openFailing({
    failureThreshold: 2,
    resetTimeoutMs: RESET_TIMEOUT_MS,
    onStateChange: (...change) => void changes.push(change),
  });
  const reported = () => changes.splice(0).map(([key, from, to]) => `${key} ${from} ${to}`);
  await statusesOf(stage, 2);
  assertEquals(reported(), ["/orders closed open"]);
  await statusesOf(stage, 2);
  assertEquals(reported(), []);

  await stage.age(RESET_TIMEOUT_MS);
  assertEquals(await statusesOf(stage, 1), [500]);
  assertEquals(reported(), ["/orders open half-open", "/orders half-open open"]);

  await stage.age(RESET_TIMEOUT_MS);
  stage.upstream.respond = () => answerOf(200);
  assertEquals(await statusesOf(stage, 2), [200, 200]);
  assertEquals(reported(), ["/orders open half-open", "/orders half-open closed"]);
});

Deno.test("Stoma's policy opens the circuit although its listener fails", async () => {
  const failing = [
    () => {
      throw new Error("listener threw");
    },
    () => Promise.reject(new Error("listener rejected")),
  ];
  for (const onStateChange of failing) {
    await using stage = await openFailing({ failureThreshold: 1, onStateChange });
    assertEquals(await statusesOf(stage, 2), [500, 503]);
    assertEquals(await stage.stateOf(), "open");
  }
});
