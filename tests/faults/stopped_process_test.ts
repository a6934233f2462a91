/**
 * A process that is stopped for longer than its calls may take and its driver waits. When it goes on,
 * its timers fire before it has read the answers that came meanwhile: that is no outage. What it knew
 * is old by then.
 */

import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { DRIVERS, MODES } from "./messages.ts";
import { last } from "./stage.ts";
import { StoppedProcess } from "./stopped_process.ts";

const ROUNDS = 3;
const STOPPED_MS = 5000;
/** Both are shorter than the stop. */
const TIMEOUT_MS = 3000;
const SILENCE_MS = 3500;
const MAX_STALENESS_MS = 500;
const KEY = "api";

interface Scene extends AsyncDisposable {
  sql: ReturnType<typeof connect>;
  processes: StoppedProcess[];
  each(action: (process: StoppedProcess) => Promise<void>): Promise<void>;
  /**
   * Stops all processes, changes the circuit meanwhile, and has them go on: when they did, and in which
   * state the circuit has been since long before.
   */
  stop(): Promise<{ continuedAt: number; state: string }>;
}

/** A process for each driver and mode, on one database. */
async function openScene(): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const { url } = cleanup.use(await createDatabase());
  const { client } = cleanup.use(await openPostgresJs(url, { max: 1 }));
  await migrate(client);
  const sql = cleanup.use(connect(url, { max: 2 }));
  const store = cleanup.use(
    new PostgresCircuitBreakerStore(client, undefined, { timeoutMs: 30_000 }),
  );
  await store.transition(KEY, "open");
  const processes: StoppedProcess[] = [];
  for (const driver of DRIVERS) {
    for (const mode of MODES) {
      const named = new URL(url);
      named.searchParams.set("application_name", `${driver} ${mode}`);
      processes.push(
        cleanup.use(
          await StoppedProcess.start({
            driver,
            mode,
            url: named.href,
            timeoutMs: TIMEOUT_MS,
            maxStalenessMs: MAX_STALENESS_MS,
            silenceMs: SILENCE_MS,
            key: KEY,
          }),
        ),
      );
    }
  }
  // Each has its connections: what happens at the first one is another test's affair.
  await Promise.all(processes.map((process) => process.ask(1)));
  for (const process of processes) process.messages.length = 0;
  const kept = cleanup.move();
  let state: "open" | "closed" = "open";
  return {
    sql,
    processes,
    async each(action) {
      await Promise.all(processes.map(action));
    },
    async stop() {
      for (const process of processes) process.stop();
      try {
        state = state === "open" ? "closed" : "open";
        await store.transition(KEY, state);
        await last(STOPPED_MS);
      } finally {
        for (const process of processes) process.continue();
      }
      return { continuedAt: Date.now(), state };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** That there was no outage, and no old answer or failure of a call made after the process went on. */
function check(
  { processes }: Scene,
  { continuedAt, state }: { continuedAt: number; state: string },
) {
  const problems: string[] = [];
  for (const { name, messages } of processes) {
    let answers = 0;
    for (const message of messages) {
      if (message.type === "outage") problems.push(`${name}: ${JSON.stringify(message)}`);
      if (message.type === "asked" || message.type === "outage") continue;
      if (message.madeAt <= continuedAt) continue;
      if (message.type === "failure") problems.push(`${name}: ${message.message}`);
      else if (message.state !== state) {
        problems.push(
          `${name}: ${message.state} ${message.madeAt - continuedAt} ms after the stop`,
        );
      } else answers++;
    }
    if (answers === 0) problems.push(`${name}: no answer after the stop`);
  }
  assertEquals(problems, []);
}

Deno.test("a process that is stopped while it is idle reports no outage and nothing old", async () => {
  await using scene = await openScene();
  for (let round = 0; round < ROUNDS; round++) {
    const stopped = await scene.stop();
    await scene.each((process) => process.ask(10));
    check(scene, stopped);
    for (const { messages } of scene.processes) messages.length = 0;
  }
});

Deno.test("a process that is stopped while it is busy reports no outage and nothing old", async () => {
  await using scene = await openScene();
  await scene.each((process) => process.send({ type: "load", isBusy: true }));
  for (let round = 0; round < ROUNDS; round++) {
    await scene.each((process) => process.until(() => process.messages.length > 50));
    for (const { messages } of scene.processes) messages.length = 0;
    const stopped = await scene.stop();
    await scene.each((process) => process.ask(10));
    check(scene, stopped);
  }
});

Deno.test("a process that is stopped in mid-statement reports no outage and nothing old", async () => {
  await using scene = await openScene();
  const { sql, processes } = scene;
  await sql`insert into stoma_circuit_breakers (key) values ('locked') on conflict do nothing`;
  for (let round = 0; round < ROUNDS; round++) {
    const release = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holding = sql.begin(async (sql) => {
      await sql`select from stoma_circuit_breakers where key = 'locked' for update`;
      locked.resolve();
      await release.promise;
    });
    await Promise.race([locked.promise, holding]);
    await scene.each((process) => process.send({ type: "record", key: "locked" }));
    // A statement of each process waits for the row.
    await until(async () => {
      const rows = await sql`
        select distinct application_name from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()`;
      return rows.length === processes.length;
    }, TIMEOUT_MS / 2);
    const stopped = await scene.stop();
    release.resolve();
    await holding;
    await scene.each((process) => process.ask(10));
    check(scene, stopped);
    for (const { messages } of processes) messages.length = 0;
  }
  const [row] = await sql<{ failures: number }[]>`
    select failure_count::int as failures from stoma_circuit_breakers where key = 'locked'`;
  assert(row!.failures <= ROUNDS * processes.length, `${row!.failures} failures`);
});
