/**
 * An event loop that its own program blocks for longer than a call may take: the answer is there by
 * then, or could not be asked for. Neither says anything of the database.
 */

import { assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { migrate, type OutageChange, PostgresCircuitBreakerStore } from "../../mod.ts";
import { connect, createDatabase } from "../support/database.ts";
import { type OpenDriver, openDriver } from "./drivers.ts";
import { DRIVERS } from "./messages.ts";

const TIMEOUT_MS = 1000;
const BLOCKED_MS = 1.2 * TIMEOUT_MS;
/** The driver's own limits are for networks. Here they are out of reach. */
const SILENCE_MS = 30_000;
const KEY = "api";

/** Keeps the event loop busy. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Makes calls, and blocks the event loop: at once, or when the driver has written the statements. */
async function blocked<Result>(
  when: "before it is sent" | "after it is sent",
  ...calls: (() => Promise<Result>)[]
): Promise<Result[]> {
  const answers = Promise.all(calls.map((call) => call()));
  if (when === "after it is sent") await new Promise((resolve) => setImmediate(resolve));
  block(BLOCKED_MS);
  return await answers;
}

interface Scene extends AsyncDisposable {
  events: OutageChange[];
  /** A store on a pool that has no connection yet. */
  open(): PostgresCircuitBreakerStore;
  /** What the table holds of the circuit. */
  failures(): Promise<number>;
}

async function openScene(
  driver: typeof DRIVERS[number],
  onOutage: "throw" | "local",
): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const { url } = cleanup.use(await createDatabase());
  const sql = cleanup.use(connect(url));
  await migrate({ query: async (text) => ({ rows: await sql.unsafe(text) }) });
  const events: OutageChange[] = [];
  const opened = cleanup.use(new AsyncDisposableStack());
  const kept = cleanup.move();
  return {
    events,
    open() {
      const { client }: OpenDriver = opened.use(openDriver(driver, url, 4, SILENCE_MS));
      return opened.use(
        new PostgresCircuitBreakerStore(client, undefined, {
          timeoutMs: TIMEOUT_MS,
          onOutage,
          onOutageChange: (change) => events.push(change),
        }),
      );
    },
    async failures() {
      const rows = await sql<{ failures: number }[]>`
        select failure_count::int as failures from stoma_circuit_breakers where key = ${KEY}`;
      return rows[0]?.failures ?? 0;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

for (const driver of DRIVERS) {
  for (const onOutage of ["throw", "local"] as const) {
    const setting = `on ${driver} with onOutage ${onOutage}`;

    Deno.test(`a blocked event loop fails no call ${setting}`, async () => {
      await using scene = await openScene(driver, onOutage);
      const store = scene.open();
      await store.recordFailure(KEY);
      let failures = 1;
      for (const when of ["before it is sent", "after it is sent"] as const) {
        for (let round = 0; round < 2; round++) {
          const [circuit] = await blocked(when, () => store.recordFailure(KEY));
          failures++;
          assertEquals([circuit!.failureCount, await scene.failures()], [failures, failures], when);
        }
        const circuits = await blocked(
          when,
          () => store.getState(KEY),
          () => store.peek(KEY),
          () => store.transition(KEY, "open"),
        );
        assertEquals(circuits.map((circuit) => circuit.failureCount), Array(3).fill(failures));
        const [listed] = await blocked(when, () => store.list());
        assertEquals(listed!.map(({ state }) => state), ["open"], when);
      }
      assertEquals(scene.events, []);
    });

    Deno.test(`a blocked event loop fails no call that needs a new connection ${setting}`, async () => {
      await using scene = await openScene(driver, onOutage);
      let failures = 0;
      for (const when of ["before it is sent", "after it is sent"] as const) {
        for (let round = 0; round < 2; round++) {
          const writer = scene.open();
          const [circuit] = await blocked(when, () => writer.recordFailure(KEY));
          failures++;
          assertEquals([circuit!.failureCount, await scene.failures()], [failures, failures], when);
        }
        const reader = scene.open();
        const [circuit] = await blocked(when, () => reader.getState(KEY));
        assertEquals(circuit!.failureCount, failures, when);
      }
      assertEquals(scene.events, []);
    });
  }
}
