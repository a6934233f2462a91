import { assertEquals } from "@std/assert";
import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { openNodePostgres, openPostgresJs } from "../support/clients.ts";
import { connect } from "../support/database.ts";
import { testScenarios } from "./scenario.ts";
import { last, type Stage } from "./stage.ts";

/** Stops all processes of the server at once, for so long; a shell does, which outlives us. */
async function freeze(stage: Stage, seconds: number): Promise<void> {
  await using sql = stage.connectServer();
  await sql`select 1`;
  // While the main process is stopped, there are no processes that the list does not name.
  stage.server.signal("SIGSTOP");
  const rows = await sql<{ pid: number }[]>`select pid from pg_stat_activity`;
  const pids = [stage.server.pid, ...rows.map(({ pid }) => pid)];
  const script = 'time=$1; shift; kill -s STOP "$@"; sleep "$time"; kill -s CONT "$@"';
  await new Deno.Command("sh", {
    args: ["-c", script, "freeze", String(seconds), ...pids.map(String)],
    detached: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
}

/** Takes every connection that the server has. */
async function takeAllConnections(stage: Stage): Promise<AsyncDisposable> {
  await using taken = new AsyncDisposableStack();
  for (;;) {
    const sql = connect(stage.server.url);
    try {
      await sql`select 1`;
    } catch (error) {
      await sql.end({ timeout: 0 });
      assertEquals((error as { code?: string }).code, "53300");
      return taken.move();
    }
    taken.use(sql);
  }
}

/** What a new instance is answered, by driver. */
async function newcomers(url: string): Promise<string[]> {
  return await Promise.all([openPostgresJs, openNodePostgres].map(async (open) => {
    await using driver = await open(url);
    const timeoutMs = 30_000; // the server's answer is what is asked for, however late it comes
    await using store = new PostgresCircuitBreakerStore(driver.client, undefined, { timeoutMs });
    return await store.getState("api").then(
      () => "an answer",
      (error) => `${error.name} ${error.sqlState}`,
    );
  }));
}

testScenarios({
  "PostgreSQL is killed and started again": {
    async fault(stage) {
      const { server } = stage;
      const { exited } = server;
      server.signal("SIGKILL");
      await exited;
      await stage.untilOut();
      await last(500);
      await server.restart();
    },
    expects: ["StoreUnavailableError"],
    allows: ["57P01", "57P02", "57P03"].map((sqlState) => `StoreUnavailableError ${sqlState}`),
    outages: [1, 1],
    stage: { isDirect: true },
  },
  "PostgreSQL is shut down and started again": {
    async fault(stage) {
      const { server } = stage;
      const { exited } = server;
      server.signal("SIGINT");
      await exited;
      // A process that the machine kept from running through a whole restart rightly notices none.
      await stage.untilOut();
      await server.restart();
    },
    expects: ["StoreUnavailableError"],
    allows: [
      "StoreUnavailableError 57P01",
      "StoreUnavailableError 57P03",
      // A store that connects while it goes down may not hear of it in time.
      "StoreTimeoutError",
    ],
    outages: [1, 2],
    stage: { isDirect: true },
  },
  "every process of PostgreSQL is stopped for five seconds": {
    async fault(stage) {
      await Promise.all([freeze(stage, 5), stage.untilOut()]);
    },
    expects: ["StoreTimeoutError", "StoreUnavailableError"],
    outages: [1, 1],
    stage: { isDirect: true },
  },
  "all backends are terminated every 100 ms": {
    async fault(stage) {
      await using sql = stage.connectServer();
      for (let round = 0; round < 30; round++) {
        await last(100);
        await stage.terminateAll(sql);
      }
    },
    expects: ["StoreUnavailableError 57P01"],
    allows: ["StoreTimeoutError"],
    outages: [1, Infinity],
    stage: { isDirect: true },
  },
  "another program takes all connections": {
    settings: { max_connections: "36" },
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.turnAway());
      await stage.each(({ proxy }) => proxy.cut());
      await stage.untilNoneIsConnected();
      await using _others = await takeAllConnections(stage);
      await stage.each(({ proxy }) => proxy.resume());
      await stage.untilOut();
      assertEquals(await newcomers(stage.server.url), [
        "StoreUnavailableError 53300",
        "StoreUnavailableError 53300",
      ]);
      await last(1000);
    },
    expects: ["StoreUnavailableError"],
    allows: [
      "StoreTimeoutError",
      // For calls that ask for a connection in the moment in which the outage begins.
      "StoreUnavailableError 53300",
    ],
    outages: [1, 2],
  },
});
