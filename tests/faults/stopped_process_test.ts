/**
 * A process that is stopped for longer than its calls may take and its driver waits. When it goes on,
 * its timers fire before it has read the answers that came meanwhile: that is no outage. What it knew
 * is old by then, and its connections may have ended.
 *
 * `STOPPED_ROUNDS=20` is the long form.
 */

import { assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import { openPostgresJs } from "../support/clients.ts";
import { connect, createDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { DRIVERS } from "./messages.ts";
import { last } from "./stage.ts";
import { STOPPED_MODES, type StoppedMessage, StoppedProcess } from "./stopped_process.ts";

const ROUNDS = Number(Deno.env.get("STOPPED_ROUNDS") ?? 2);
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
  stop(): Promise<Stopped>;
}

interface Stopped {
  continuedAt: number;
  state: string;
}

/**
 * A process for each driver and mode, on one database.
 *
 * @param isCutOff Whether the server ends all connections of the processes while they are stopped.
 */
async function openScene(isCutOff: boolean): Promise<Scene> {
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
    for (const mode of STOPPED_MODES) {
      const named = new URL(url);
      named.searchParams.set("application_name", `stopped ${driver} ${mode}`);
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
  const cutOff = async () => {
    const ended = await sql`
      select pg_terminate_backend(pid, ${STOPPED_MS}) as is_gone from pg_stat_activity
      where application_name like 'stopped %' and datname = current_database()`;
    assertEquals(new Set(ended.map(({ is_gone }) => is_gone)), new Set([true]));
  };
  return {
    sql,
    processes,
    async each(action) {
      await Promise.all(processes.map(action));
    },
    async stop() {
      for (const process of processes) process.stop();
      try {
        if (isCutOff) await cutOff();
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

/** That there was no outage, and no old answer or failed read of a call made after the process went on. */
function check({ processes }: Scene, { continuedAt, state }: Stopped): void {
  const problems: string[] = [];
  for (const { name, messages } of processes) {
    let answers = 0;
    for (const message of messages) {
      if (message.type === "outage") problems.push(`${name}: ${JSON.stringify(message)}`);
      if (!isOfRead(message) || message.madeAt <= continuedAt) continue;
      if (message.type === "failure") problems.push(`${name}: ${message.message}`);
      else if (message.state !== state) {
        problems.push(
          `${name}: ${message.state} ${message.madeAt - continuedAt} ms after the stop`,
        );
      } else answers++;
    }
    if (answers === 0) problems.push(`${name}: no answer after the stop`);
    messages.length = 0;
  }
  assertEquals(problems, []);
}

function isOfRead(
  message: StoppedMessage,
): message is StoppedMessage & { type: "answer" | "failure" } {
  return message.type === "answer" || message.type === "failure";
}

/**
 * That the database has each failure that it acknowledged, and at most those beside it whose calls
 * failed. Where the instance answers locally, a failure that the database has not is at least reported.
 */
async function checkRecords({ sql, processes }: Scene): Promise<void> {
  const rows = await sql<{ key: string; failures: number }[]>`
    select key, failure_count::int as failures from stoma_circuit_breakers`;
  const stored = new Map(rows.map(({ key, failures }) => [key, failures]));
  const problems: string[] = [];
  for (const { name, records: { acknowledged, rejected, reports } } of processes) {
    for (const key of new Set([...acknowledged.keys(), ...rejected.keys()])) {
      const counts = [acknowledged.get(key) ?? 0, rejected.get(key) ?? 0, stored.get(key) ?? 0];
      const [yes = 0, no = 0, there = 0] = counts;
      const isReported = name.endsWith("local") && reports > 0;
      if (there > yes + no || there < yes && !isReported) {
        problems.push(`${name}: ${yes} acknowledged, ${no} rejected, ${there} stored`);
      }
    }
  }
  assertEquals(problems, []);
}

for (const isCutOff of [false, true]) {
  const how = isCutOff ? " and loses its connections" : "";

  Deno.test(`a process that is stopped while it is idle${how} reports no outage and nothing old`, async () => {
    await using scene = await openScene(isCutOff);
    for (let round = 0; round < ROUNDS; round++) {
      const stopped = await scene.stop();
      await scene.each(async (process) => {
        await process.send({ type: "record", key: `${process.name} after` });
        await process.ask(10);
      });
      check(scene, stopped);
    }
    await scene.each((process) => process.rest());
    await checkRecords(scene);
  });

  Deno.test(`a process that is stopped while it is busy${how} reports no outage and nothing old`, async () => {
    await using scene = await openScene(isCutOff);
    await scene.each((process) => process.send({ type: "load", isBusy: true }));
    for (let round = 0; round < ROUNDS; round++) {
      await scene.each((process) => process.until(() => process.messages.length > 50));
      for (const { messages } of scene.processes) messages.length = 0;
      const stopped = await scene.stop();
      await scene.each((process) => process.ask(10));
      check(scene, stopped);
    }
    await scene.each((process) => process.rest());
    await checkRecords(scene);
  });

  Deno.test(`a process that is stopped in mid-statement${how} reports no outage and nothing old`, async () => {
    await using scene = await openScene(isCutOff);
    const { sql, processes } = scene;
    const locked = processes.map(({ name }) => `${name} locked`);
    await sql`insert into stoma_circuit_breakers (key) select unnest(${locked}::text[])`;
    for (let round = 0; round < ROUNDS; round++) {
      const release = Promise.withResolvers<void>();
      const isLocked = Promise.withResolvers<void>();
      const holding = sql.begin(async (sql) => {
        await sql`select from stoma_circuit_breakers where key = any(${locked}) for update`;
        isLocked.resolve();
        await release.promise;
      });
      await Promise.race([isLocked.promise, holding]);
      await scene.each((process) =>
        process.send({ type: "record", key: `${process.name} locked` })
      );
      // A statement of each process waits for its row.
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
    }
    await scene.each((process) => process.rest());
    await checkRecords(scene);
  });
}
