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

Deno.test("Presence goes on after a write that never ends", () => {
  const clock = { at: 0 };
  let written = 0;
  const presence = new Presence(() => {
    written++;
    return new Promise(() => {});
  }, () => clock.at);
  for (; clock.at <= 100_000; clock.at += 10_000) presence.onAnswered();
  assertEquals(written, 4);
});
