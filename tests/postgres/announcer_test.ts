import { assertEquals } from "@std/assert";
import { Announcer } from "../../src/postgres/announcer.ts";

/** Announcements that are sent, each of which ends when the test says so. */
function recorded() {
  const sent: PromiseWithResolvers<void>[] = [];
  const announcer = new Announcer(() => {
    const one = Promise.withResolvers<void>();
    sent.push(one);
    return one.promise;
  });
  return { announcer, sent };
}

/** Lets everything run that waits for nothing but other promises. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("Announcer announces changes of one statement's time once, and later ones once more", async () => {
  const { announcer, sent } = recorded();
  announcer.announce();
  announcer.announce();
  await settle();
  assertEquals(sent.length, 1);
  announcer.announce();
  announcer.announce();
  sent[0]!.resolve();
  await settle();
  assertEquals(sent.length, 2);
  sent[1]!.resolve();
  await settle();
  assertEquals(sent.length, 2);
});

Deno.test("Announcer goes on after an announcement that fails", async () => {
  const { announcer, sent } = recorded();
  announcer.announce();
  sent[0]!.reject(new Error("the queue is full"));
  await settle();
  assertEquals(sent.length, 1);
  announcer.announce();
  assertEquals(sent.length, 2);
});

Deno.test("Announcer is settled when no announcement is under way any more", async () => {
  const { announcer, sent } = recorded();
  await announcer.settled();
  announcer.announce();
  let isSettled = false;
  const settled = announcer.settled().then(() => isSettled = true);
  announcer.announce();
  sent[0]!.resolve();
  await settle();
  assertEquals([sent.length, isSettled], [2, false]);
  sent[1]!.resolve();
  await settled;
});
