import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { type Answer, Worker } from "../concurrency_worker.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

const MINUTE = 60_000;

/** Two processes, the second with a clock of its own. */
async function openTwo(): Promise<{ right: Worker; skewed: Worker } & AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase());
  const driver = stack.use(await openPostgresJs(database.url, { max: 1 }));
  await migrate(driver.client);
  const [right, skewed] = await Promise.all([
    Worker.start(database.url),
    Worker.start(database.url),
  ]);
  stack.use(right);
  stack.use(skewed);
  return { right, skewed, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

for (const skew of [MINUTE, -MINUTE]) {
  const direction = skew > 0 ? "ahead" : "behind";

  Deno.test(`an instance a minute ${direction} agrees on state and elapsed time`, async () => {
    await using two = await openTwo();
    const opened = await two.right.run([["recordFailure", "api"], ["transition", "api", "open"]]);
    const seen = await two.skewed.run([["getState", "api"]], skew);
    const [state] = seen.results;
    assertEquals([state!.state, state!.failureCount], ["open", 1]);
    // In the skewed instance's clock the circuit opened a minute away from the right one's.
    assertWithin(state!.lastStateChange - skew, opened, seen);
    assertWithin(state!.lastFailureTime - skew, opened, seen);
  });

  Deno.test(`what an instance a minute ${direction} writes is right for others`, async () => {
    await using two = await openTwo();
    const opened = await two.skewed.run([["transition", "api", "open"]], skew);
    assertWithin(opened.results[0]!.lastStateChange, opened, opened);
    const seen = await two.right.run([["getState", "api"]]);
    const shifted = { ...opened, sent: opened.sent - skew, received: opened.received - skew };
    assertWithin(seen.results[0]!.lastStateChange, shifted, seen);
  });

  Deno.test(`a clock that steps a minute ${direction} keeps elapsed time`, async () => {
    await using two = await openTwo();
    const opened = await two.skewed.run([["transition", "api", "open"]], 0);
    const stepped = await two.skewed.run([["getState", "api"]], skew);
    assertWithin(stepped.results[0]!.lastStateChange - skew, opened, stepped);
    const back = await two.skewed.run([["getState", "api"]], 0);
    assertWithin(back.results[0]!.lastStateChange, opened, back);
    assertEquals(back.results[0]!.state, "open");
  });
}

Deno.test("an instance whose clock is a minute off reads equal numbers once it knows", async () => {
  await using two = await openTwo();
  await two.right.run([["transition", "api", "open"]]);
  const times: number[] = [];
  for (let read = 0; read < 30; read++) {
    const { results } = await two.skewed.run([["getState", "api"]], MINUTE);
    times.push(results[0]!.lastStateChange);
  }
  // The estimate only ever narrows, by at most the slowest call; it never swings to and fro.
  assertEquals(times, times.toSorted((a, b) => a - b));
});

Deno.test("a now() option is taken as it is, however far from the database's clock", async () => {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 2 });
  await migrate(driver.client);
  const at = [1000, 5_000_000];
  const stores = at.map((now) =>
    new PostgresCircuitBreakerStore(driver.client, undefined, { now: () => now })
  );
  await stores[0]!.recordFailure("api");
  await stores[1]!.transition("api", "open");
  for (const store of stores) {
    const { lastFailureTime, lastStateChange } = await store.getState("api");
    assertEquals([lastFailureTime, lastStateChange], at);
  }
});

/**
 * Asserts that a time, as a later call returns it, lies within the call that made it. The tolerance is
 * the uncertainty of the later call's clock offset, which is the duration of that call.
 */
function assertWithin(time: number, made: Answer, seen: Answer): void {
  assertEquals([...made.errors, ...seen.errors], []);
  const slack = seen.received - seen.sent;
  assert(
    made.sent - slack <= time && time <= made.received + slack,
    `${time - made.sent} ms after the call began, which took ${made.received - made.sent} ms`,
  );
}
