import { assertEquals } from "@std/assert";
import { startPostgres } from "../../support/postgres_server.ts";
import { randomOf } from "../../support/random.ts";
import { chooseFault, last } from "../faults.ts";
import { clock } from "../messages.ts";
import { Scene } from "../scene.ts";
import { LOG_SETTINGS, readErrors, SMALL_QUEUE } from "../server_log.ts";
import { summaryOf, verdictOf } from "../verdict.ts";

const SECONDS = Number(Deno.env.get("HISTORIES_SECONDS") || "30");
const SEED = Number(Deno.env.get("HISTORIES_SEED") || Date.now() % 1_000_000);

/** How many faults go on at once. */
const AT_ONCE = 2;

Deno.test(`histories: ${SECONDS} s of calls and random faults (seed ${SEED})`, async () => {
  const random = randomOf(SEED);
  await using server = await startPostgres({ settings: { ...LOG_SETTINGS, ...SMALL_QUEUE } });
  await using scene = await Scene.open(server, random);
  const counts: Record<string, number> = {};
  const timeline: string[] = [];
  const end = performance.now() + SECONDS * 1000;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (performance.now() < end) {
      await last(800 * random());
      const [name, fault] = chooseFault(random);
      counts[name] = (counts[name] ?? 0) + 1;
      const from = clock();
      await fault(scene, random);
      timeline.push(`${from.toFixed(1)} to ${clock().toFixed(1)}: ${name}`);
    }
  }));
  const run = await scene.finish();
  console.log(`${summaryOf(run)}, ${scene.recorder.outages} outages, faults:`, counts);
  console.log("errors:", Object.fromEntries(scene.recorder.errors));
  const found = [...scene.recorder.problems, ...verdictOf(run, await readErrors(server))];
  if (found.length > 0) console.log(timeline.join("\n"));
  assertEquals(found, [], `seed ${SEED}`);
});
