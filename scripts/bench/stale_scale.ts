import { connect } from "../../tests/support/database.ts";
import type { CircuitsDatabase } from "./circuits.ts";
import type { Outcome } from "./experiment.ts";
import type { ScaleAnswer, ScaleOrder } from "./scale_worker.ts";
import { ServerStatements } from "./server_statements.ts";
import type { Stage } from "./stage.ts";
import { WorkerGroup } from "./worker_process.ts";

/** A fleet on one server, at several sizes. */
export interface Fleet {
  /** How many instances, from the smallest fleet to the largest. */
  sizes: readonly number[];
  /** How many processes the instances are spread over. */
  processes: number;
  /** Circuits that every instance uses, the same for all. */
  circuits: number;
  maxStalenessMs: number;
  /** Whether each read is followed by a success. */
  records: boolean;
  /** For how many times `maxStalenessMs` each size is measured. */
  intervals: number;
}

/** What a fleet of one size costs. */
export interface FleetCost {
  instances: number;
  /** Statements per second, as the clients sent them and as the server saw them. */
  sent: number;
  seen: number;
  /** Statements that an instance sent per `maxStalenessMs`. */
  perInterval: number;
  /** Cores that the server and the fleet kept busy. */
  serverCores: number;
  clientCores: number;
  /** How often an instance used each circuit, per `maxStalenessMs`. */
  uses: number;
  /** How often an instance could not reach the database, and the last error. */
  failures: number;
  failure: string;
}

/** By then each circuit is cached, and instances that began together refresh at different times. */
const WARM_UP_INTERVALS = 3;

/** Connections that are left for the measurement itself and for the other contenders. */
const OTHER_CONNECTIONS = 50;

/** Measures what fleets of several sizes cost their server. */
export async function measureFleets(stage: Stage, fleet: Fleet): Promise<Outcome> {
  const { circuits, processes } = fleet;
  const lines = [
    `${circuits.toLocaleString("en")} circuits, the same for all, each used by each instance`,
    `instances share ${processes} processes here, and the machine with the server; each has a ` +
    `connection of its own`,
  ];
  const costs: FleetCost[] = [];
  for (const instances of fleet.sizes) {
    await using database = await stage.createDatabase();
    await database.fill(circuits);
    const room = await connectionsOf(database);
    // One for statements, and one more where it listens.
    if (2 * instances + OTHER_CONNECTIONS > room) {
      lines.push(`${instances} instances are left out: the server takes ${room} connections`);
      continue;
    }
    const cost = await measureFleet(stage, database, fleet, instances);
    costs.push(cost);
    lines.push(lineOf(cost));
  }
  if (costs.length > 1) lines.push(growthOf(costs[0]!, costs.at(-1)!));
  return { lines, figures: { costs }, verdicts: [] };
}

async function measureFleet(
  stage: Stage,
  { url, table }: CircuitsDatabase,
  { processes, circuits, maxStalenessMs, records, intervals }: Fleet,
  instances: number,
): Promise<FleetCost> {
  await using server = await ServerStatements.watch(url);
  await using workers = await WorkerGroup.start<ScaleOrder, ScaleAnswer>(
    Math.min(processes, instances),
    new URL("./scale_worker.ts", import.meta.url),
    (index) => ({
      type: "begin",
      url,
      table,
      instances: shareOf(instances, Math.min(processes, instances), index),
      circuits,
      maxStalenessMs,
      records,
    }),
  );
  const look = async () => ({
    at: performance.now(),
    seen: await server.count(),
    serverCpu: await stage.serverCpu("stale"),
    fleet: added(await workers.askAll({ type: "report" })),
  });
  await pass(WARM_UP_INTERVALS * maxStalenessMs);
  const before = await look();
  await pass(intervals * maxStalenessMs);
  const after = await look();
  const seconds = (after.at - before.at) / 1000;
  const sent = (after.fleet.statements - before.fleet.statements) / seconds;
  const perInstance = maxStalenessMs / 1000 / instances;
  return {
    instances,
    sent,
    seen: (after.seen - before.seen) / seconds,
    perInterval: sent * perInstance,
    serverCores: (after.serverCpu - before.serverCpu) / seconds,
    clientCores: (after.fleet.cpu - before.fleet.cpu) / seconds,
    uses: (after.fleet.touches - before.fleet.touches) / seconds * perInstance,
    failures: after.fleet.failures - before.fleet.failures,
    failure: after.fleet.failure,
  };
}

/** How many of the instances a process gets. */
function shareOf(instances: number, processes: number, index: number): number {
  return Math.floor((instances + index) / processes);
}

function added(answers: ScaleAnswer[]): ScaleAnswer {
  const sum = (figure: (answer: ScaleAnswer) => number) =>
    answers.reduce((total, answer) => total + figure(answer), 0);
  return {
    statements: sum(({ statements }) => statements),
    touches: sum(({ touches }) => touches),
    failures: sum(({ failures }) => failures),
    failure: answers.find(({ failure }) => failure !== "")?.failure ?? "",
    cpu: sum(({ cpu }) => cpu),
  };
}

async function connectionsOf(database: CircuitsDatabase): Promise<number> {
  await using sql = connect(database.url);
  const [row] = await sql.unsafe("select current_setting('max_connections') as room");
  return Number(row!.room);
}

function lineOf(cost: FleetCost): string {
  return `${String(cost.instances).padStart(4)} instances: ` +
    `${cost.seen.toFixed(1)} statements per second at the server (sent ${cost.sent.toFixed(1)}, ` +
    `${cost.perInterval.toFixed(2)} per instance and interval), ` +
    `server ${cost.serverCores.toFixed(2)} cores, fleet ${cost.clientCores.toFixed(2)} cores, ` +
    `each circuit used ${cost.uses.toFixed(2)} times per interval, ${cost.failures} failures` +
    (cost.failures > 0 ? ` (${cost.failure})` : "");
}

function growthOf(few: FleetCost, many: FleetCost): string {
  const growth = (figure: (cost: FleetCost) => number) =>
    `${(figure(many) / figure(few)).toFixed(1)}x`;
  return `from ${few.instances} to ${many.instances} instances ` +
    `(${growth(({ instances }) => instances)}): statements ${growth(({ seen }) => seen)}, ` +
    `server CPU ${growth(({ serverCores }) => serverCores)}`;
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
