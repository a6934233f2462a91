import { assertEquals } from "@std/assert";
import { type Looked, LookSchedule, PROCESS_TIMING } from "../../src/feed/look_schedule.ts";
import { ManualTiming, settled } from "./scripted_log.ts";

/** A schedule whose looks the test ends. */
class Stage {
  readonly timing = new ManualTiming();
  /** When looks began. */
  readonly looks: number[] = [];
  readonly schedule: LookSchedule;
  #ends: ((looked: Looked) => void)[] = [];

  constructor(intervalMs: number) {
    this.schedule = new LookSchedule(intervalMs, this.timing, () => {
      this.looks.push(this.timing.now());
      return new Promise((resolve) => this.#ends.push(resolve));
    });
  }

  get isLooking(): boolean {
    return this.#ends.length > 0;
  }

  /** Ends the look that is under way. */
  async end(looked: Partial<Looked> = {}): Promise<void> {
    this.#ends.shift()!({ roundTripMs: 0.1, isPaused: false, ...looked });
    await settled();
  }
}

Deno.test("LookSchedule looks at the interval, from the beginning of a look to the next", async () => {
  const stage = new Stage(100);
  stage.schedule.look();
  for (const took of [0, 30, 99]) {
    await stage.timing.pass(took);
    await stage.end();
    await stage.timing.pass(100 - took);
  }
  assertEquals(stage.looks, [0, 100, 200, 300]);
  // A look that took longer than that is followed by the next, after the loop had a moment.
  await stage.timing.pass(500);
  await stage.end();
  assertEquals(stage.looks.length, 4);
  await stage.timing.pass(1);
  assertEquals(stage.looks.at(-1), 801);
  stage.schedule.end();
});

Deno.test("LookSchedule looks at once for the first announcement, and every 20 ms for more", async () => {
  const stage = new Stage(1e6);
  stage.schedule.look();
  await stage.end();
  await stage.timing.pass(1000);
  for (let i = 0; i < 100; i++) {
    stage.schedule.announce();
    if (stage.isLooking) await stage.end();
    await stage.timing.pass(1);
    if (stage.isLooking) await stage.end();
  }
  await stage.timing.pass(1000);
  assertEquals(stage.looks, [0, 1000, 1020, 1040, 1060, 1080, 1100]);
  stage.schedule.end();
});

Deno.test("LookSchedule looks once more for an announcement during a look", async () => {
  const stage = new Stage(1e6);
  stage.schedule.look();
  await stage.timing.pass(5);
  stage.schedule.announce();
  await stage.end();
  // The process stays for the change that was announced, and not for the interval.
  assertEquals([stage.looks, stage.timing.isKept], [[0], true]);
  await stage.timing.pass(1000);
  assertEquals(stage.looks, [0, 20]);
  await stage.end();
  assertEquals([stage.timing.timers, stage.timing.isKept], [1, false]);
  await stage.timing.pass(1000);
  assertEquals(stage.looks, [0, 20]);
  stage.schedule.end();
});

Deno.test("LookSchedule leaves ten round trips between looks, but no more than the interval", async () => {
  for (const [roundTripMs, pause] of [[1, 20], [5, 50], [12, 120], [30, 200], [Infinity, 200]]) {
    const stage = new Stage(200);
    stage.schedule.look();
    await stage.end({ roundTripMs: roundTripMs! });
    assertEquals(stage.timing.isKept, false);
    stage.schedule.announce();
    assertEquals(stage.timing.isKept, true);
    await stage.timing.pass(pause! - 1);
    assertEquals(stage.looks, [0]);
    await stage.timing.pass(1);
    assertEquals(stage.looks, [0, pause]);
    stage.schedule.end();
  }
});

Deno.test("LookSchedule looks no more after a look that asked for a pause, until it is over", async () => {
  const stage = new Stage(100);
  stage.schedule.look();
  stage.schedule.announce();
  await stage.end({ isPaused: true });
  stage.schedule.announce();
  await stage.timing.pass(10_000);
  assertEquals([stage.looks, stage.timing.timers], [[0], 0]);
  stage.schedule.resume();
  assertEquals(stage.looks, [0, 10_000]);
  stage.schedule.resume();
  await stage.end();
  stage.schedule.resume();
  assertEquals(stage.looks.length, 2);
  stage.schedule.end();
});

Deno.test("LookSchedule looks once at a time, and at once for an announcement before its first look", async () => {
  const stage = new Stage(100);
  stage.schedule.announce();
  stage.schedule.look();
  stage.schedule.look();
  assertEquals(stage.looks, [0]);
  await stage.end();
  stage.schedule.end();
});

Deno.test("PROCESS_TIMING runs what was not stopped", async () => {
  const ran: string[] = [];
  for (const isKept of [true, false]) PROCESS_TIMING.start(() => ran.push("stopped"), 1, isKept)();
  await new Promise<void>((resolve) => {
    PROCESS_TIMING.start(() => ran.push("background"), 5, false);
    PROCESS_TIMING.start(resolve, 10, true);
  });
  assertEquals(ran, ["background"]);
});

Deno.test("LookSchedule that has ended looks no more and keeps no timer", async () => {
  const stage = new Stage(100);
  stage.schedule.look();
  stage.schedule.end();
  await stage.end();
  stage.schedule.announce();
  stage.schedule.look();
  stage.schedule.resume();
  await stage.timing.pass(1000);
  assertEquals([stage.looks, stage.timing.timers], [[0], 0]);
  const resting = new Stage(100);
  resting.schedule.look();
  await resting.end();
  resting.schedule.end();
  assertEquals(resting.timing.timers, 0);
});
