import { assertEquals } from "@std/assert";
import { Subscription } from "../../src/cache/subscription.ts";
import { VirtualTimers } from "./model_network.ts";

function scene(canListen = true) {
  const timers = new VirtualTimers();
  let listeners = 0;
  const feed = {
    canListen,
    subscribe: () => {
      listeners++;
      return () => void listeners--;
    },
  };
  return { timers, subscription: new Subscription(feed, timers, () => {}), count: () => listeners };
}

Deno.test("Subscription listens while circuits are in use, and for 30 s after it", async () => {
  const { timers, subscription, count } = scene();
  subscription.use(true);
  subscription.use(true);
  assertEquals(count(), 1);
  subscription.use(false);
  await timers.advance(29_999);
  assertEquals(count(), 1);
  await timers.advance(1);
  assertEquals([count(), timers.size], [0, 0]);
  subscription.use(true);
  assertEquals(count(), 1);
});

Deno.test("Subscription goes on where circuits are in use again in time", async () => {
  const { timers, subscription, count } = scene();
  subscription.use(true);
  subscription.use(false);
  await timers.advance(29_999);
  subscription.use(true);
  assertEquals(timers.size, 0);
  await timers.advance(60_000);
  assertEquals(count(), 1);
});

Deno.test("Subscription that has ended listens no more, and keeps no timer", () => {
  const { timers, subscription, count } = scene();
  subscription.use(true);
  subscription.use(false);
  subscription.end();
  assertEquals([count(), timers.size], [0, 0]);
  subscription.use(true);
  subscription.use(false);
  assertEquals([count(), timers.size], [0, 0]);
});

Deno.test("Subscription does nothing where nothing is announced", () => {
  const { timers, subscription, count } = scene(false);
  subscription.use(true);
  subscription.use(false);
  subscription.end();
  assertEquals([count(), timers.size], [0, 0]);
});
