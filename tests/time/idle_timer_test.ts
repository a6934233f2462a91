import { assert, assertEquals } from "@std/assert";
import { IdleTimer } from "../../src/time/idle_timer.ts";

Deno.test("IdleTimer fires once when it is wanted, and not when it is not", async () => {
  let fired = 0;
  const first = Promise.withResolvers<void>();
  const timer = new IdleTimer(() => {
    fired++;
    first.resolve();
  });
  timer.wakeBy(performance.now() + 20);
  timer.wakeBy(performance.now() + 20);
  await first.promise;
  assertEquals(fired, 1);

  timer.wakeBy(performance.now() + 10);
  timer.rest();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assertEquals(fired, 1);
});

Deno.test("IdleTimer that is wanted again fires no later than it was asked to", async () => {
  const fired = Promise.withResolvers<number>();
  const timer = new IdleTimer(() => fired.resolve(performance.now()));
  timer.wakeBy(performance.now() + 40);
  timer.rest();
  const start = performance.now();
  timer.wakeBy(performance.now() + 40);
  assert(await fired.promise - start < 40 + 500);
});

Deno.test("IdleTimer says when it should fire while it runs, also at rest", () => {
  const timer = new IdleTimer(() => {});
  assertEquals(timer.dueAt, Infinity);
  const moment = performance.now() + 60_000;
  timer.wakeBy(moment);
  timer.rest();
  assertEquals(timer.dueAt, moment);
  timer.wakeBy(moment + 1);
  assertEquals(timer.dueAt, moment);
  timer.stop();
  assertEquals(timer.dueAt, Infinity);
});

Deno.test("IdleTimer at rest does not keep a process alive", async () => {
  const program = `
    import { IdleTimer } from ${
    JSON.stringify(new URL("../../src/time/idle_timer.ts", import.meta.url))
  };
    const timer = new IdleTimer(() => console.log("fired"));
    timer.wakeBy(performance.now() + 600_000);
    timer.rest();`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, stdout } = await child.output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, ""]);
});
