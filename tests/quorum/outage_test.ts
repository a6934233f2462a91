/** Votes while the database is out, of instances whose clocks differ, and of instances with a cache. */

import { assert, assertEquals } from "@std/assert";
import { isStoreUnavailableError, type OutageChange, type PostgresClient } from "../../mod.ts";
import { oneTo } from "../conformance/session.ts";
import { until } from "../support/until.ts";
import { Gateway, KEY, RESET, Scene, THRESHOLD } from "./scene.ts";

/** A way to the database that a test can cut, and that knows what goes through it. */
class Connection {
  isCut = false;
  /** Cuts it when a vote is sent. */
  isCutByVotes = false;
  readonly statements: string[] = [];

  readonly through = (client: PostgresClient): PostgresClient => ({
    query: (text, params) => {
      this.statements.push(text);
      if (this.isCutByVotes && text.includes("labels_after")) this.isCut = true;
      return this.isCut
        ? Promise.reject(Object.assign(new Error("connection lost"), { code: "ECONNRESET" }))
        : client.query(text, params);
    },
  });
}

/** A gateway whose connection is cut when it votes. */
function cutGateway(scene: Scene, connection: Connection, onOutage: "throw" | "local") {
  const changes: OutageChange[] = [];
  const errors: Error[] = [];
  const store = scene.store("bad", {
    timeoutMs: 500,
    onOutage,
    onOutageChange: (change) => changes.push(change),
    onError: (error) => errors.push(error),
  }, connection.through);
  const gateway = new Gateway(scene, store);
  gateway.isWell = false;
  return { gateway, errors, isOut: () => changes.at(-1)?.isOut ?? false };
}

for (const onOutage of ["throw", "local"] as const) {
  Deno.test(`a vote that an outage has swallowed is sent when it is over, with onOutage "${onOutage}"`, async () => {
    await using scene = await Scene.open();
    const connection = new Connection();
    connection.isCutByVotes = true;
    const { gateway, errors, isOut } = cutGateway(scene, connection, onOutage);
    // The call that made the rule due does not fail for it.
    for (const _ of oneTo(THRESHOLD - 1)) await gateway.store.recordFailure(KEY);
    assertEquals((await gateway.store.recordFailure(KEY)).state, "open");
    assert(isOut());
    assertEquals(errors.map(isStoreUnavailableError), [true]);
    assertEquals(await scene.log(), []);
    if (onOutage === "local") assertEquals(await gateway.requests(3), Array(3).fill("refused"));
    connection.isCut = connection.isCutByVotes = false;
    await until(() => !isOut());
    assertEquals(await gateway.request(), "refused");
    await until(async () => (await scene.row()).votes !== null);
    assertEquals(await scene.log(), ["bad: closed -> closed by vote"]);
  });
}

Deno.test("results that the database did not get open the circuit for the instance all the same", async () => {
  await using scene = await Scene.open();
  const connection = new Connection();
  const { gateway, isOut } = cutGateway(scene, connection, "throw");
  await gateway.requests(THRESHOLD - 1);
  connection.isCut = true;
  await gateway.store.recordFailure(KEY).catch(() => {});
  connection.isCut = false;
  await until(() => !isOut());
  assertEquals(await gateway.request(), "refused");
  await until(async () => (await scene.row()).votes !== null);
});

Deno.test("an instance recovers by its own probe while the database is out, and withdraws later", async () => {
  await using scene = await Scene.open();
  const connection = new Connection();
  const { gateway, isOut } = cutGateway(scene, connection, "local");
  await gateway.requests(THRESHOLD);
  connection.isCut = true;
  scene.at += RESET;
  gateway.isWell = true;
  assertEquals(await gateway.requests(3), ["passed", "passed", "passed"]);
  assertEquals((await scene.row()).votes, ["bad"]);
  connection.isCut = false;
  await until(() => !isOut());
  assertEquals(await gateway.request(), "passed");
  await until(async () => (await scene.row()).votes === null);
});

Deno.test("results from an outage end with the fleet's circuit, whatever versions it had locally", async () => {
  await using scene = await Scene.open();
  const connection = new Connection();
  const { gateway, isOut } = cutGateway(scene, connection, "local");
  const [a, b] = ["a", "b"].map((name) => scene.gateway(name));
  a!.isWell = b!.isWell = false;
  assertEquals(await gateway.request(), "failed");
  await a!.requests(THRESHOLD);
  await b!.requests(THRESHOLD);
  assertEquals(await gateway.request(), "refused");
  connection.isCut = true;
  scene.at += RESET;
  // The circuit closes locally, and opens for the instance by its results.
  gateway.isWell = true;
  assertEquals(await gateway.request(), "passed");
  gateway.isWell = false;
  assertEquals((await gateway.requests(THRESHOLD + 1)).at(-1), "refused");
  // Meanwhile the fleet's circuit closes.
  a!.isWell = true;
  assertEquals(await a!.request(), "passed");
  connection.isCut = false;
  await until(() => !isOut());
  assertEquals((await gateway.store.getState(KEY)).state, "closed");
});

Deno.test("late results send no vote once the fleet's circuit is open", async () => {
  await using scene = await Scene.open();
  const connection = new Connection();
  const late = scene.store("late", { failureThreshold: 1 }, connection.through);
  await scene.store("ops").transition(KEY, "half-open");
  for (const _ of oneTo(THRESHOLD)) await late.recordFailure(KEY);
  assertEquals(connection.statements.filter((text) => text.includes("labels_after")), []);
});

Deno.test("a store that closes during an outage leaves its vote to end by itself", async () => {
  await using scene = await Scene.open();
  const connection = new Connection();
  const { gateway } = cutGateway(scene, connection, "throw");
  await gateway.requests(THRESHOLD);
  connection.isCut = true;
  await gateway.store.close();
  const other = scene.gateway("other");
  other.isWell = false;
  scene.at += 30_000;
  await other.requests(THRESHOLD);
  assertEquals(await scene.openings(), 0);
});

Deno.test("with a cache, an open circuit of an instance costs no statement", async () => {
  await using scene = await Scene.open();
  const connection = new Connection();
  // No refresh is due during the test.
  const cached = { maxStalenessMs: 600_000 };
  const bad = new Gateway(scene, scene.store("bad", cached, connection.through));
  bad.isWell = false;
  await bad.requests(THRESHOLD);
  const sent = connection.statements.length;
  assertEquals(await bad.requests(100), Array(100).fill("refused"));
  assertEquals(connection.statements.slice(sent), []);
});

Deno.test("with a cache, the instance whose vote opens the circuit answers so at once", async () => {
  await using scene = await Scene.open();
  const cached = { maxStalenessMs: 600_000 };
  const [a, b] = ["a", "b"].map((name) => scene.gateway(name, cached));
  a!.isWell = b!.isWell = false;
  await a!.requests(THRESHOLD);
  assertEquals((await b!.requests(THRESHOLD)).at(-1), "failed");
  assertEquals((await scene.row()).state, "open");
  assertEquals(await b!.request(), "refused");
  b!.isWell = true;
  scene.at += RESET;
  assertEquals(await b!.request(), "passed");
  assertEquals((await scene.row()).state, "closed");
});

Deno.test("with a cache, others hear of the opening within the bound", async () => {
  await using scene = await Scene.open();
  // The clock of the ages is the test's own; the interval is real.
  const cached = { maxStalenessMs: 40 };
  const [a, b, c] = ["a", "b", "c"].map((name) => scene.gateway(name, cached));
  assertEquals(await c!.request(), "passed");
  a!.isWell = b!.isWell = false;
  await a!.requests(THRESHOLD);
  assertEquals(await c!.request(), "passed");
  await b!.requests(THRESHOLD);
  scene.at += 40;
  assertEquals([await a!.request(), await c!.request()], ["refused", "refused"]);
});

/** Runs a call of an instance whose clock stands so far from the machine's. */
async function skewed<Result>(skew: number, run: () => Promise<Result>): Promise<Result> {
  const machineNow = Date.now;
  Date.now = () => machineNow() + skew;
  try {
    return await run();
  } finally {
    Date.now = machineNow;
  }
}

Deno.test("votes of instances whose clocks are 60 seconds apart are seen at the same time", async () => {
  await using scene = await Scene.open();
  const ofDatabase = { now: undefined };
  const skews = [30_000, -30_000];
  const stores = skews.map((_, i) => scene.store(`gateway-${i}`, { ...ofDatabase, quorum: 3 }));
  for (const [i, store] of stores.entries()) {
    await skewed(skews[i]!, async () => {
      for (const _ of oneTo(THRESHOLD)) await store.recordFailure(KEY);
      // The caller's clock, by which the policy computes what is left of the reset timeout.
      const { state, lastStateChange } = await store.getState(KEY);
      assertEquals(state, "open");
      assert(Math.abs(Date.now() - lastStateChange) < 5000, `${Date.now() - lastStateChange}`);
    });
  }
  const [row] = await scene.sql`
    select vote_seen[1] - vote_seen[2] as apart, abs(vote_seen[1] - extract(epoch from now()) * 1000) as ago
    from stoma_circuit_breakers`;
  assert(Number(row!.apart) >= 0 && Number(row!.apart) < 5000, `${row!.apart} ms apart`);
  assert(Number(row!.ago) < 5000, `${row!.ago} ms ago`);
  const third = scene.store("gateway-3", { ...ofDatabase, quorum: 3 });
  for (const _ of oneTo(THRESHOLD)) await third.recordFailure(KEY);
  assertEquals((await scene.row()).voters!.length, 3);
});
