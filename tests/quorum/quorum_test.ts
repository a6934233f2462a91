import { assert, assertEquals } from "@std/assert";
import { oneTo } from "../conformance/session.ts";
import { randomOf } from "../support/random.ts";
import { BREAKER, KEY, RESET, Scene, START, THRESHOLD } from "./scene.ts";

Deno.test("a bad instance opens the circuit for itself alone, and is listed", async () => {
  await using scene = await Scene.open();
  const bad = scene.gateway("bad");
  const good = scene.gateway("good");
  bad.isWell = false;
  assertEquals(await bad.requests(THRESHOLD + 2), [
    ...Array(THRESHOLD).fill("failed"),
    "refused",
    "refused",
  ]);
  assertEquals(await good.requests(3), ["passed", "passed", "passed"]);
  const [listed] = await good.store.list();
  assertEquals([listed!.state, listed!.votes, listed!.cause, listed!.actor], [
    "closed",
    ["bad"],
    "vote",
    "bad",
  ]);
  assertEquals((await bad.store.peek(KEY)).state, "open");
  assertEquals((await bad.store.peek([KEY]))[0]!.state, "open");
  assertEquals((await good.store.peek([KEY]))[0]!.state, "closed");
  assertEquals(await scene.openings(), 0);
});

Deno.test("an instance recovers by probes of its own, and withdraws its vote", async () => {
  await using scene = await Scene.open();
  const bad = scene.gateway("bad");
  bad.isWell = false;
  await bad.requests(THRESHOLD);
  scene.at += RESET - 1;
  assertEquals(await bad.request(), "refused");
  scene.at += 1;
  assertEquals(await bad.requests(2), ["failed", "refused"]);
  scene.at += RESET;
  bad.isWell = true;
  assertEquals(await bad.requests(3), ["passed", "passed", "passed"]);
  assertEquals(await scene.log(), [
    "bad: closed -> closed by vote",
    "bad: closed -> closed by vote, withdrawn",
  ]);
  assertEquals((await scene.row()).votes, null);
  // It counts anew.
  bad.isWell = false;
  assertEquals(await bad.requests(THRESHOLD + 1), [...Array(THRESHOLD).fill("failed"), "refused"]);
});

Deno.test("the second instance that finds the circuit due opens it for the fleet", async () => {
  await using scene = await Scene.open();
  const [a, b, c] = ["a", "b", "c"].map((name) => scene.gateway(name));
  a!.isWell = b!.isWell = false;
  await a!.requests(THRESHOLD);
  assertEquals(await c!.request(), "passed");
  await b!.requests(THRESHOLD);
  for (const each of [a!, b!, c!]) assertEquals(await each.request(), "refused");
  assertEquals(await scene.log(), [
    "a: closed -> closed by vote",
    "b: closed -> open by vote",
  ]);
  assertEquals((await scene.row()).voters, ["b", "a"]);
  // One probe for the fleet, and none of the voters' own.
  scene.at += RESET;
  a!.isWell = b!.isWell = true;
  assertEquals((await a!.store.getState(KEY)).state, "half-open");
  assertEquals((await b!.store.getState(KEY)).state, "open");
  await a!.store.transition(KEY, "closed");
  for (const each of [a!, b!, c!]) assertEquals(await each.request(), "passed");
  assertEquals((await scene.row()).muted, null);
});

Deno.test("watch delivers votes, and history has them", async () => {
  await using scene = await Scene.open();
  const good = scene.store("good");
  const watch = good.watch();
  const bad = scene.gateway("bad");
  bad.isWell = false;
  await bad.requests(THRESHOLD);
  await bad.store.close();
  const seen = [];
  for await (const { from, to, cause, actor, reason } of watch) {
    seen.push([from, to, cause, actor, reason]);
    if (seen.length === 2) break;
  }
  const expected = [
    ["closed", "closed", "vote", "bad", undefined],
    ["closed", "closed", "vote", "bad", "withdrawn"],
  ];
  assertEquals(seen, expected);
  const history = await good.history({ key: KEY });
  assertEquals(
    history.map(({ from, to, cause, actor, reason }) => [from, to, cause, actor, reason]),
    expected,
  );
});

Deno.test("calls renew a vote every ten seconds, refused ones too, and nothing else does", async () => {
  await using scene = await Scene.open();
  const bad = scene.gateway("bad");
  const other = scene.gateway("other");
  bad.isWell = other.isWell = false;
  await bad.requests(THRESHOLD);
  const seenAt = async () => {
    const [row] = await scene.sql`select vote_seen[1]::text as seen from stoma_circuit_breakers`;
    return Number(row!.seen) - START;
  };
  scene.at += 9999;
  assertEquals(await bad.request(), "refused");
  assertEquals(await seenAt(), 0);
  scene.at += 1;
  const { version } = (await bad.store.list())[0]!;
  assertEquals(await bad.request(), "refused");
  // The renewal is sent before a later statement of the same store, on a connection of its own.
  while (await seenAt() !== 10_000);
  assertEquals((await bad.store.list())[0]!.version, version);
  scene.at += 30_000;
  assertEquals((await bad.store.list())[0]!.votes, []);
  await other.requests(THRESHOLD);
  assertEquals((await scene.row()).votes, ["other"]);
  assertEquals(await scene.openings(), 0);
});

Deno.test("a restart with the same label is one vote", async () => {
  await using scene = await Scene.open();
  const bad = scene.gateway("bad");
  bad.isWell = false;
  await bad.requests(THRESHOLD);
  // The process is killed: nothing withdraws the vote.
  const again = scene.gateway("bad");
  again.isWell = false;
  assertEquals(await again.requests(THRESHOLD + 1), [
    ...Array(THRESHOLD).fill("failed"),
    "refused",
  ]);
  assertEquals((await scene.row()).votes, ["bad"]);
  assertEquals(await scene.log(), ["bad: closed -> closed by vote"]);
});

Deno.test("a random label is another voter while the old one's vote stands", async () => {
  await using scene = await Scene.open();
  for (const [wait, openings] of [[30_000, 0], [29_999, 1]] as const) {
    const key = `api ${wait}`;
    for (const _ of oneTo(2)) {
      const bad = scene.gateway(crypto.randomUUID());
      bad.isWell = false;
      await bad.requests(THRESHOLD, key);
      scene.at += wait;
    }
    assertEquals(await scene.openings(key), openings);
  }
});

Deno.test("a caller opens only what its own results make due", async () => {
  await using scene = await Scene.open();
  const [a, b] = [scene.store("a"), scene.store("b")];
  for (const _ of oneTo(THRESHOLD - 1)) await a.recordFailure(KEY);
  for (const _ of oneTo(THRESHOLD - 1)) await b.recordFailure(KEY);
  // The fleet counts more failures than the threshold.
  assertEquals((await a.getState(KEY)).failureCount, 2 * THRESHOLD - 2);
  assertEquals((await a.transition(KEY, "open")).state, "closed");
  assertEquals((await b.transition(KEY, "open")).state, "closed");
  assertEquals(await scene.log(), []);
  assertEquals((await a.recordFailure(KEY)).state, "open");
  assertEquals((await a.transition(KEY, "open")).state, "open");
  assertEquals(await scene.log(), ["a: closed -> closed by vote"]);
});

Deno.test("the results of others, and late ones, open nothing once the fleet has opened", async () => {
  await using scene = await Scene.open();
  const [a, b] = ["a", "b"].map((name) => scene.gateway(name));
  a!.isWell = b!.isWell = false;
  await a!.requests(THRESHOLD);
  await b!.requests(THRESHOLD);
  for (const _ of oneTo(2 * THRESHOLD)) await a!.store.recordFailure(KEY);
  scene.at += RESET;
  b!.isWell = true;
  assertEquals(await b!.request(), "passed");
  assertEquals((await scene.row()).state, "closed");
  // What it recorded while the fleet's circuit was open counts for nothing now.
  assertEquals(await a!.requests(THRESHOLD - 1), Array(THRESHOLD - 1).fill("failed"));
  assertEquals((await a!.store.getState(KEY)).state, "closed");
});

Deno.test("an instance that missed an opening of the fleet follows it all the same", async () => {
  await using scene = await Scene.open();
  const [a, b, c] = ["a", "b", "c"].map((name) => scene.gateway(name));
  for (const each of [a!, b!, c!]) each.isWell = false;
  await a!.requests(THRESHOLD);
  scene.at += 30_000; // its vote stands no more
  assertEquals((await a!.store.getState(KEY)).state, "half-open");
  await b!.requests(THRESHOLD);
  await c!.requests(THRESHOLD);
  scene.at += RESET;
  b!.isWell = true;
  assertEquals(await b!.request(), "passed");
  const log = await scene.log();
  // The round of its own circuit is over, and says nothing of the fleet's.
  assertEquals((await a!.store.getState(KEY)).state, "closed");
  await a!.store.transition(KEY, "open");
  assertEquals((await a!.store.getState(KEY)).state, "closed");
  assertEquals(await scene.log(), log);
});

Deno.test("what an operator forces wins over what an instance finds", async () => {
  await using scene = await Scene.open();
  const bad = scene.gateway("bad");
  const good = scene.gateway("good");
  bad.isWell = false;
  await bad.requests(THRESHOLD);
  await good.store.forceClosed(KEY);
  assertEquals(await bad.request(), "failed");
  await good.store.release(KEY);
  assertEquals(await bad.request(), "refused");
  await good.store.forceOpen(KEY);
  assertEquals(await bad.request(), "refused");
  await good.store.release(KEY);
  assertEquals(await bad.request(), "failed");
  assertEquals((await scene.row()).votes, null);
});

Deno.test("a reset by any instance lets a bad instance begin anew", async () => {
  await using scene = await Scene.open();
  const bad = scene.gateway("bad");
  const good = scene.gateway("good");
  bad.isWell = false;
  for (const by of [good, bad]) {
    await bad.requests(THRESHOLD);
    assertEquals(await bad.request(), "refused");
    await by.store.reset(KEY);
    assertEquals((await scene.row()).votes, null);
    assertEquals((await bad.store.getState(KEY)).state, "closed");
  }
});

Deno.test("a caller that closes the circuit closes it for itself, and withdraws the vote", async () => {
  await using scene = await Scene.open();
  const bad = scene.gateway("bad");
  bad.isWell = false;
  await bad.requests(THRESHOLD);
  assertEquals((await bad.store.transition(KEY, "closed")).state, "closed");
  assertEquals((await bad.store.getState(KEY)).state, "closed");
  assertEquals((await scene.row()).votes, null);
});

Deno.test("a hundred instances with 19 failures each do not open a circuit from 20 on", async () => {
  await using scene = await Scene.open();
  const fleet = oneTo(100).map((i) => scene.gateway(`gateway-${i}`, { failureThreshold: 20 }));
  await Promise.all(fleet.map(async (gateway) => {
    gateway.isWell = false;
    assertEquals(new Set(await gateway.requests(19)), new Set(["failed"]));
  }));
  assertEquals((await fleet[0]!.store.getState(KEY)).failureCount, 1900);
  assertEquals(await scene.log(), []);
  // All find it due at once.
  await Promise.all(fleet.map((gateway) => gateway.request()));
  assertEquals(await scene.openings(), 1);
  const { state, voters } = await scene.row();
  assertEquals([state, voters!.length], ["open", BREAKER.quorum]);
  for (const gateway of fleet) assertEquals(await gateway.request(), "refused");
});

Deno.test("two bad instances of a hundred open the fleet's circuit once in ten minutes", async () => {
  await using scene = await Scene.open();
  const fleet = oneTo(100).map((i) => scene.gateway(`gateway-${i}`));
  const [first, second] = fleet;
  const bad = [first!, second!];
  for (const each of bad) each.isWell = false;
  const random = randomOf(Number(Deno.env.get("SEED") ?? 7));
  let closedAt = 0;
  for (let elapsed = 0; elapsed < 600_000; elapsed += 3000) {
    scene.at += 3000;
    // The bad ones get more requests than the others. All race.
    const some = oneTo(12).map(() => fleet[2 + Math.floor(random() * 98)]!);
    const busy = [...new Set([...some.slice(0, 6), ...bad, ...some])];
    const outcomes = await Promise.all(busy.map((gateway) => gateway.request()));
    if (closedAt > 0) {
      const refusing = busy.filter((_, i) => outcomes[i] === "refused");
      assertEquals(refusing.filter((gateway) => !bad.includes(gateway)), []);
    } else if ((await scene.row()).muted !== null) closedAt = elapsed;
  }
  assert(closedAt > 0 && closedAt < 300_000, `closed at ${closedAt}`);
  assertEquals(await scene.openings(), 1);
  assertEquals((await scene.row()).muted!.toSorted(), ["gateway-1", "gateway-2"]);
  // One recovers: its next vote counts again.
  first!.isWell = true;
  scene.at += RESET;
  assertEquals(await first!.requests(2), ["passed", "passed"]);
  assertEquals((await scene.row()).muted, ["gateway-2"]);
});
