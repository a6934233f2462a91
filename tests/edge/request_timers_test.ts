import { assertEquals } from "@std/assert";
import { RequestTimers } from "../../src/edge/request_timers.ts";

/** Timers with a clock that the test moves, and work that ends when the test says so. */
class Stage {
  now = 0;
  readonly kept: Promise<unknown>[] = [];
  readonly begun: PromiseWithResolvers<void>[] = [];
  readonly timers: RequestTimers = new RequestTimers({
    deadAfterMs: 100,
    keep: (work) => void this.kept.push(work),
    now: () => this.now,
  });

  readonly work = (): Promise<void> => {
    const one = Promise.withResolvers<void>();
    this.begun.push(one);
    return one.promise;
  };

  /** A call at a time. Returns how often work was begun until then. */
  callAt(now: number): number {
    this.now = now;
    this.timers.onCall();
    return this.begun.length;
  }
}

Deno.test("RequestTimers begins work with the first call after its time, once, and keeps its request", async () => {
  const stage = new Stage();
  stage.timers.start(stage.work, 50);
  assertEquals([stage.callAt(49), stage.callAt(50), stage.callAt(60)], [0, 1, 1]);
  stage.begun[0]!.resolve();
  await Promise.all(stage.kept);
  assertEquals([stage.kept.length, stage.callAt(1000)], [1, 1]);
});

Deno.test("RequestTimers begins work again when it must be dead, and not where it has ended", async () => {
  const stage = new Stage();
  stage.timers.run(stage.work);
  assertEquals([stage.callAt(99), stage.callAt(100), stage.callAt(199)], [1, 2, 2]);
  // The first one was only slow: the second is watched all the same.
  stage.begun[0]!.resolve();
  await stage.kept[0];
  assertEquals(stage.callAt(200), 3);
  stage.begun[2]!.resolve();
  await stage.kept[2];
  assertEquals(stage.callAt(1000), 3);
});

Deno.test("RequestTimers begins nothing that was stopped, and nothing after its end", () => {
  const stage = new Stage();
  stage.timers.stop(stage.timers.start(stage.work, 10));
  assertEquals(stage.callAt(20), 0);
  stage.timers.start(stage.work, 10);
  stage.timers.end();
  stage.timers.start(stage.work, 10);
  stage.timers.run(stage.work);
  assertEquals(stage.callAt(1000), 0);
});

Deno.test("RequestTimers begins each task of a call, also those that begin others", () => {
  const stage = new Stage();
  stage.timers.start(() => {
    stage.timers.start(stage.work, 0);
    return stage.work();
  }, 0);
  stage.timers.start(stage.work, 0);
  assertEquals(stage.callAt(0), 3);
});
