import { assert, assertEquals } from "@std/assert";
import {
  CircuitBreakerStoreError,
  SchemaError,
  StoreOverloadError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../../src/errors.ts";
import type { OutageChange } from "../../src/options/store_options.ts";
import { Outage } from "../../src/outage/outage.ts";
import type { StatementEvent } from "../../src/ports.ts";

const LOST = new StoreUnavailableError("Cannot read circuit: connection lost");
const SHUT_DOWN = new StoreUnavailableError("Cannot read circuit: shutting down", {
  sqlState: "57P01",
});
const SLOW = new StoreTimeoutError("Cannot read circuit: no answer in 1000 ms");

const STARTING = new StoreUnavailableError("Cannot read circuit: starting up", {
  sqlState: "57P03",
});

/** Both clocks, which the test moves. */
class FakeTime implements Disposable {
  readonly #now = performance.now;
  readonly #wallNow = Date.now;
  /** Whole, so that sums of durations are exact. */
  ticks: number = Math.ceil(performance.now());
  wall: number = Date.now();

  constructor() {
    performance.now = () => this.ticks;
    Date.now = () => this.wall;
  }

  pass(ms: number): void {
    this.ticks += ms;
    this.wall += ms;
  }

  [Symbol.dispose](): void {
    performance.now = this.#now;
    Date.now = this.#wallNow;
  }
}

/** An outage whose checks end when the test says so. */
class Stage implements Disposable {
  readonly outage: Outage;
  readonly changes: OutageChange[] = [];
  readonly checkedAt: number[] = [];
  heldUpSince: number | undefined;
  #check = Promise.withResolvers<void>();
  #asked = Promise.withResolvers<void>();

  constructor() {
    this.outage = new Outage({
      check: () => {
        this.checkedAt.push(performance.now());
        this.#check = Promise.withResolvers();
        this.#asked.resolve();
        return this.#check.promise;
      },
      wasHeldUpSince: (moment) => this.heldUpSince !== undefined && moment <= this.heldUpSince,
      wasLost: (error) => error === SHUT_DOWN,
      onChange: (change) => this.changes.push(change),
    });
  }

  /** Reports a statement that was sent `ms` milliseconds ago and has ended. */
  statement(error?: unknown, { kind = "read", ms = 0 }: Partial<StatementEvent> = {}): void {
    this.outage.onStatement({ kind, keys: 1, calls: 1, rows: 0, ms, error });
  }

  /** Resolves when the next check asks the database. */
  async asked(): Promise<void> {
    // The timer of a check does not keep the process alive.
    const alive = setInterval(() => {}, 1000);
    await this.#asked.promise;
    clearInterval(alive);
    this.#asked = Promise.withResolvers();
  }

  /** Ends the check that asks. */
  async answer(error?: Error): Promise<void> {
    if (error === undefined) this.#check.resolve();
    else this.#check.reject(error);
    await this.#check.promise.catch(() => {});
  }

  get isOut(): boolean {
    return this.outage.cause !== undefined;
  }

  [Symbol.dispose](): void {
    this.outage.end();
  }
}

Deno.test("Outage begins with a failed statement, asks until a check succeeds, and ends", async () => {
  using stage = new Stage();
  stage.statement();
  assertEquals([stage.isOut, stage.changes], [false, []]);
  stage.statement(LOST);
  stage.statement(SLOW);
  assertEquals(stage.outage.cause, LOST);
  assertEquals(stage.changes, [{ isOut: true, cause: LOST }]);
  await stage.asked();
  await stage.answer(SHUT_DOWN);
  assertEquals(stage.outage.cause, LOST);
  await stage.asked();
  await stage.answer();
  assertEquals(stage.outage.cause, undefined);
  assertEquals(stage.changes, [{ isOut: true, cause: LOST }, { isOut: false }]);
});

Deno.test("Outage begins with timeouts and an unavailable database, and with nothing else", () => {
  for (const error of [LOST, SHUT_DOWN, SLOW]) {
    using stage = new Stage();
    stage.statement(error);
    assertEquals(stage.outage.cause, error);
  }
  const others = [
    new CircuitBreakerStoreError("Cannot read circuit: permission denied", { sqlState: "42501" }),
    new SchemaError("Cannot read circuit: no table", { sqlState: "42P01" }),
    new StoreOverloadError("Cannot read circuit: 3 calls already wait for the database"),
    new Error("elsewhere"),
  ];
  for (const error of others) {
    using stage = new Stage();
    stage.statement(error);
    assertEquals(stage.outage.cause, undefined, error.message);
  }
});

Deno.test("Outage checks at once, then ever less often, until a statement succeeds", async () => {
  using stage = new Stage();
  const gaps = async (checks: number) => {
    const found: number[] = [];
    for (let i = 0; i < checks; i++) {
      const from = performance.now();
      await stage.asked();
      found.push(stage.checkedAt.at(-1)! - from);
      if (i < checks - 1) await stage.answer(LOST);
    }
    return found;
  };
  // Each lies between the half of 20 ms, 40 ms, ... and the whole, and timers are late at times.
  const assertAtLeast = (found: number[], least: number[]) => {
    assertEquals(found.length, least.length);
    for (const [i, ms] of found.entries()) assert(ms >= least[i]! - 2, `${found} ms`);
  };
  stage.statement(LOST);
  assertAtLeast(await gaps(4), [10, 20, 40, 80]);
  await stage.answer();
  // The outage begins again before any statement has succeeded.
  stage.statement(LOST);
  assertAtLeast(await gaps(2), [160, 320]);
  await stage.answer();
  stage.statement();
  stage.statement(LOST);
  const [first] = await gaps(1);
  assert(first! < 500, `${first} ms after a statement succeeded`);
});

for (const error of [SLOW, LOST, SHUT_DOWN]) {
  Deno.test(`Outage does not begin with a statement sent before the last one ended: ${error.message}`, async () => {
    using stage = new Stage();
    stage.statement(LOST);
    await stage.asked();
    const sentAt = performance.now() - 1;
    await stage.answer();
    assert(!stage.isOut);
    stage.statement(error, { ms: performance.now() - sentAt });
    assert(!stage.isOut);
    stage.statement(error);
    assert(stage.isOut);
  });
}

Deno.test("Outage does not begin with a statement that can read a lot and takes too long", () => {
  for (const kind of ["history", "prune"] as const) {
    using stage = new Stage();
    stage.statement(SLOW, { kind });
    assert(!stage.isOut);
    stage.statement(LOST, { kind });
    assert(stage.isOut);
  }
});

Deno.test("Outage does not begin with an announcement, whatever its error", () => {
  using stage = new Stage();
  for (const error of [SLOW, LOST]) stage.statement(error, { kind: "announce" });
  assert(!stage.isOut);
});

Deno.test("Outage does not begin with an error without SQLSTATE after a hold-up", () => {
  using stage = new Stage();
  stage.heldUpSince = performance.now() - 50;
  stage.statement(LOST, { ms: 100 });
  assert(!stage.isOut);
  stage.statement(SHUT_DOWN, { ms: 100 });
  assert(!stage.isOut);
  // The server said so itself.
  stage.statement(STARTING, { ms: 100 });
  assert(stage.isOut);
});

Deno.test("Outage does not begin with lost connections of the first statements after a silence", () => {
  using time = new FakeTime();
  using stage = new Stage();
  time.pass(1500);
  for (let statement = 0; statement < 3; statement++) {
    time.pass(100);
    stage.statement(SHUT_DOWN, { ms: 50 });
  }
  assert(!stage.isOut);
  time.pass(1000);
  stage.statement(SHUT_DOWN, { ms: 50 });
  assert(stage.isOut, "statements have failed for more than a second");
});

Deno.test("Outage begins with the first statement after a silence where its server is not there", () => {
  for (const error of [LOST, STARTING, SLOW]) {
    using time = new FakeTime();
    using stage = new Stage();
    time.pass(1500);
    stage.statement(error);
    assert(stage.isOut, error.message);
  }
});

Deno.test("Outage takes the sleep of a machine for a silence, also with a statement under way", () => {
  using time = new FakeTime();
  using stage = new Stage();
  time.wall += 60_000;
  stage.statement(SHUT_DOWN, { ms: 10 });
  assert(!stage.isOut);
  // This one was sent after it, by what went on before the other was answered.
  stage.statement(SHUT_DOWN);
  assert(!stage.isOut);
});

Deno.test("Outage begins with an error without SQLSTATE of a statement sent after the hold-up", () => {
  using stage = new Stage();
  stage.heldUpSince = performance.now() - 50;
  stage.statement(LOST, { ms: 10 });
  assert(stage.isOut);
});

Deno.test("Outage checks a server that takes no writes more often", async () => {
  using stage = new Stage();
  stage.statement(new StoreUnavailableError("Cannot write", { sqlState: "25006" }));
  for (let check = 1; check <= 7; check++) {
    await stage.asked();
    await stage.answer(new StoreUnavailableError("Cannot write", { sqlState: "25006" }));
  }
  const [last, before] = [stage.checkedAt.at(-1)!, stage.checkedAt.at(-2)!];
  // The seventh check comes 640 to 1280 ms after the sixth where the server is not there at all.
  assert(last - before < 600, `${last - before} ms`);
});

Deno.test("Outage that was ended asks nothing, begins never again, and ignores the check in flight", async () => {
  using stage = new Stage();
  stage.statement(LOST);
  await stage.asked();
  stage.outage.end();
  assertEquals(stage.outage.cause, undefined);
  await stage.answer(LOST);
  stage.statement(LOST);
  assertEquals(stage.outage.cause, undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(stage.checkedAt.length, 1);

  using answered = new Stage();
  answered.statement(LOST);
  await answered.asked();
  answered.outage.end();
  await answered.answer();
  assertEquals(answered.changes, [{ isOut: true, cause: LOST }]);
});
