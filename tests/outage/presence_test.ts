import { assertEquals } from "@std/assert";
import { Presence } from "../../src/outage/presence.ts";

Deno.test("Presence shows an instance after ten seconds of use, and every thirty seconds then", async () => {
  const clock = { at: 7 };
  const written: number[] = [];
  const write = { fails: false };
  const presence = new Presence(() => {
    written.push(clock.at);
    return write.fails ? Promise.reject(new Error("out")) : Promise.resolve();
  }, () => clock.at);
  const after = async (ms: number) => {
    clock.at += ms;
    presence.onAnswered();
    presence.onAnswered();
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  await after(0);
  await after(9999);
  assertEquals(written, []);
  await after(1);
  assertEquals(written, [10_007]);
  await after(29_999);
  write.fails = true;
  await after(1);
  assertEquals(written, [10_007, 40_007]);
  write.fails = false;
  await after(30_000);
  assertEquals(written, [10_007, 40_007, 70_007]);
  presence.end();
  await after(60_000);
  assertEquals(written.length, 3);
});

Deno.test("Presence writes once at a time", async () => {
  const clock = { at: 0 };
  const { promise, resolve } = Promise.withResolvers<void>();
  let written = 0;
  const presence = new Presence(() => {
    written++;
    return promise;
  }, () => clock.at);
  for (; clock.at < 200_000; clock.at += 10_000) presence.onAnswered();
  assertEquals(written, 1);
  resolve();
  await promise;
});
