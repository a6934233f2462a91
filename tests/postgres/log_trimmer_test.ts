import { assert, assertEquals } from "@std/assert";
import { LogTrimmer } from "../../src/postgres/log_trimmer.ts";

const DAY_MS = 86_400_000;

/** A trimmer whose prunings end when the test says so. */
function recorded(options: { historyMs: number; historyRows: number }) {
  const runs: PromiseWithResolvers<void>[] = [];
  let onRun = () => {};
  const trimmer = new LogTrimmer(() => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    onRun();
    return run.promise;
  }, options);
  const nextRun = () => new Promise<void>((resolve) => onRun = resolve);
  return { trimmer, runs, nextRun, [Symbol.dispose]: () => trimmer.end() };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("LogTrimmer prunes after a tenth of the rows was written, wherever its instance began", async () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    using log = recorded({ historyMs: DAY_MS, historyRows: 100 });
    for (let row = 0; row < 10; row++) log.trimmer.onLogged(1);
    assertEquals(log.runs.length, 1);
    log.runs[0]!.resolve();
    await settle();
  }
});

Deno.test("LogTrimmer prunes again when enough was written meanwhile, also after a failure", async () => {
  using log = recorded({ historyMs: DAY_MS, historyRows: 100 });
  log.trimmer.onLogged(10);
  log.trimmer.onLogged(25);
  assertEquals(log.runs.length, 1);
  log.runs[0]!.reject(new Error("no connection"));
  await settle();
  assertEquals(log.runs.length, 2);
  log.runs[1]!.resolve();
  await settle();
  assertEquals(log.runs.length, 2);
});

Deno.test("LogTrimmer prunes some time after the last row, and again while rows grow old", async () => {
  using log = recorded({ historyMs: 20, historyRows: 100_000 });
  // Its timers keep no process alive.
  const alive = setTimeout(() => {}, 60_000);
  const first = log.nextRun();
  log.trimmer.onLogged(1);
  await first;
  const second = log.nextRun();
  log.runs[0]!.resolve();
  await second;
  log.runs[1]!.resolve();
  assertEquals(log.runs.length, 2);
  clearTimeout(alive);
});

Deno.test("LogTrimmer begins nothing before the first row, and nothing after its end", async () => {
  using log = recorded({ historyMs: 1, historyRows: 10 });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(log.runs.length, 0);
  log.trimmer.end();
  log.trimmer.onLogged(100);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert(log.runs.length === 0);
});
