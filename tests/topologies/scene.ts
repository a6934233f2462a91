import { assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore, type PostgresClient } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { DRIVERS } from "../faults/messages.ts";
import { connect, createDatabase } from "../support/database.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { bundleStoma } from "../support/stoma.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import type { Fault } from "./faults.ts";
import { GatewayProcess } from "./gateway_process.ts";
import { firstWrite, prepareWrites } from "./plain_client.ts";
import type { GatewaySettings } from "./messages.ts";
import { type Programs, topologyTest } from "./programs.ts";
import { TIMEOUT_MS, type Topology } from "./topology.ts";
import { problems, type Result, rowOf, type Stored } from "./verdict.ts";

/** Gateways with each driver. */
const OF_EACH_DRIVER = 2;

/** Calls of each gateway before anything happens, and after all is well again. */
const ANSWERS = 300;

/** Server connections that all gateways share behind a pooler. */
const POOL_SIZE = 8;

/** Circuits that every gateway reads from its cache, and those that it does not read in an outage. */
const FOLLOWED = ["kept", "released", "forced"].map((name) => `followed ${name}`);
const RESTING = ["kept", "released", "forced"].map((name) => `resting ${name}`);
const ALL_FOLLOWED = [...FOLLOWED, ...RESTING];

/** The followed circuits with a name. */
function named(name: string): string[] {
  return ALL_FOLLOWED.filter((key) => key.endsWith(name));
}

/** The last circuit that changes. */
export const MARKER = "marker";

const HAPPENS_WITHIN_MS = 60_000;

/** The faults of a topology, and those of them that a short run has. */
export interface Faults {
  all: readonly Fault[];
  short: readonly Fault[];
}

/**
 * Makes one test of all faults in a topology, each on a cluster of its own: it is no matter here whether the
 * broken node comes back. With `TOPOLOGIES=short` in the environment it is those of a short run.
 */
export function testTopology(name: string, topology: Topology, { all, short }: Faults): void {
  const faults = Deno.env.get("TOPOLOGIES") === "short" ? short : all;
  if (faults.length === 0) return;
  topologyTest(name, async (programs) => {
    await using stoma = await bundleStoma();
    const found: string[] = [];
    for (const fault of faults) {
      await using cluster = await Cluster.start(programs, topology.isSynchronous);
      const result = await play(programs, cluster, stoma.gatewayPath, topology, fault);
      console.log(rowOf(name, fault.name, result));
      for (const problem of problems(result)) found.push(`${fault.name}: ${problem}`);
    }
    assertEquals(found, []);
  });
}

/** Plays a fault under the load of four gateways. */
async function play(
  programs: Programs,
  cluster: Cluster,
  stomaPath: string,
  topology: Topology,
  fault: Fault,
): Promise<Result> {
  await using cleanup = new AsyncDisposableStack();
  const { url, name: database } = cleanup.use(await createDatabase(cluster.url));
  await prepareWrites(url);
  await operate(url, async (store, client) => {
    await migrate(client);
    for (const key of [...named("kept"), ...named("released")]) await store.forceOpen(key);
  });
  const pooler = topology.isPooled
    ? cleanup.use(await startPgBouncer(programs.pgbouncer, POOL_SIZE, cluster.url))
    : undefined;
  const databaseUrl = pooler?.urlOf(database) ?? url;
  const gateways = await startGateways({ databaseUrl, stomaPath, ...topology }, cleanup);
  const each = <T>(action: (gateway: GatewayProcess) => Promise<T>) =>
    Promise.all(gateways.map(action));
  await each((gateway) => gateway.phase("before", ANSWERS));

  // What was done in the phase before is on all nodes. What is done from here on may be lost where the
  // fault keeps it from the other nodes.
  await cluster.untilReplicated();
  const leader = await cluster.leader();
  await each((gateway) => gateway.phase("during", 0));
  await fault.prepare?.(cluster, leader);
  await operate(url, async (store) => {
    for (const key of named("released")) await store.release(key);
    for (const key of named("forced")) await store.forceOpen(key);
  });
  const acknowledged = Object.fromEntries(
    ALL_FOLLOWED.map((key) => [key, key.endsWith("released") ? "closed" : "open"]),
  );
  await each((gateway) => gateway.agrees(acknowledged));
  await each((gateway) => gateway.rest());

  const struckAt = performance.now();
  await fault.strike(cluster, leader);
  await until(
    async () => (await cluster.leader() === leader) === (fault.keepsLeader ?? false),
    HAPPENS_WITHIN_MS,
  );
  await firstWrite(url);
  const outageMs = performance.now() - struckAt;
  const backAt = Date.now();
  const recoveredMs = await each((gateway) => gateway.recover());
  const states = await followedStates(url);
  const agreedMs = await each((gateway) => agreementOf(gateway, states, backAt));

  await each((gateway) => gateway.phase("after", ANSWERS));
  await each((gateway) => gateway.quiet());
  await operate(url, async (store) => void await store.forceOpen(MARKER));
  const reports = await each(async (gateway) => ({
    name: gateway.name,
    events: gateway.all("outage"),
    ...await gateway.stop(MARKER),
  }));
  const stored = await readStored(url);
  return {
    topology,
    keepsLeader: fault.keepsLeader ?? false,
    losesRecent: fault.prepare !== undefined,
    endsWaitingCommits: fault.endsWaitingCommits ?? false,
    outageMs,
    recoveredMs,
    agreedMs,
    hasFollowedLoss: ALL_FOLLOWED.some((key) => states[key] !== acknowledged[key]),
    reports,
    stored,
  };
}

/** Starts gateways with each driver at once. */
async function startGateways(
  settings: Pick<GatewaySettings, "databaseUrl" | "stomaPath" | "isPooled" | "isSynchronous">,
  cleanup: AsyncDisposableStack,
): Promise<GatewayProcess[]> {
  const starting = await Promise.allSettled(
    DRIVERS.flatMap((driver) =>
      Array.from({ length: OF_EACH_DRIVER }, async (_, each) =>
        cleanup.use(
          await GatewayProcess.start({
            ...settings,
            name: `${driver} ${each}`,
            driver,
            timeoutMs: TIMEOUT_MS,
            followed: FOLLOWED,
            resting: RESTING,
          }),
        ))
    ),
  );
  return starting.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

/** How long after the database and the store are back a gateway answers the states of the table. */
async function agreementOf(
  gateway: GatewayProcess,
  states: Record<string, string>,
  backAt: number,
): Promise<number> {
  const agreedAt = await gateway.agrees(states);
  const endedAt = gateway.all("outage").at(-1)?.at ?? 0;
  // It may never have answered anything else.
  return Math.max(0, agreedAt - Math.max(backAt, endedAt));
}

/** Does something with an operator's store on the leader. */
async function operate(
  url: string,
  act: (store: PostgresCircuitBreakerStore, client: PostgresClient) => Promise<void>,
): Promise<void> {
  await using sql = connect(url);
  const client = fromPostgresJs(sql);
  await using store = new PostgresCircuitBreakerStore(client, {
    timeoutMs: HAPPENS_WITHIN_MS,
    instanceId: "operator",
  });
  await act(store, client);
}

/** The states of the followed circuits as the table has them. */
async function followedStates(url: string): Promise<Record<string, string>> {
  await using sql = connect(url);
  const rows = await sql<{ key: string; state: string }[]>`
    select key, coalesce(forced_state, state) as state from stoma_circuit_breakers
    where key = any(${ALL_FOLLOWED})`;
  const states = Object.fromEntries(ALL_FOLLOWED.map((key) => [key, "closed"]));
  for (const { key, state } of rows) states[key] = state;
  return states;
}

/** What the table and the log hold in the end. */
async function readStored(url: string): Promise<Stored> {
  await using sql = connect(url);
  const counts = await sql<Stored["counts"]>`
    select key, failure_count::int as failures, success_count::int as successes
    from stoma_circuit_breakers`;
  const changes = await sql<Stored["changes"]>`
    select version::int, key, cause, to_state as to, from_state as from
    from stoma_circuit_breakers_changes
    where cause not in ('round', 'suspect', 'zeroed') order by version`;
  return { counts: [...counts], changes: [...changes] };
}
