import { connect } from "../../tests/support/database.ts";
import type { CircuitsDatabase } from "./circuits.ts";
import { machineCpuSeconds } from "./cpu.ts";
import type { FleetAnswer, FleetOrder } from "./fleet_worker.ts";
import { Histogram } from "./histogram.ts";
import { size } from "./report.ts";
import type { Stage } from "./stage.ts";
import { WorkerGroup } from "./worker_process.ts";

/** A fleet that keeps its circuits in use, on a server of its own database. */
export interface FleetLoad {
  instances: number;
  /** Circuits that every instance uses, the same for all. */
  circuits: number;
  /** How many processes the instances are spread over. */
  processes: number;
  /** How many connections the instances of a process share. */
  connections: number;
  options: { maxStalenessMs: number; countWithinMs?: number };
  /** Within how many milliseconds each instance uses each circuit once. */
  roundMs: number;
  /** Whether each read is followed by a success. */
  records: boolean;
  warmUpMs: number;
  measuredMs: number;
}

/** What was measured of a fleet. Rates are per second. */
export interface FleetCost {
  instances: number;
  circuits: number;
  /** Cores that the server, the fleet and other processes kept busy. */
  serverCores: number;
  fleetCores: number;
  otherCores: number;
  walBytes: number;
  /** Statements that an instance sent per `maxStalenessMs`. */
  perInterval: number;
  /** Statements of each family, per second, and the time until their answers in milliseconds. */
  families: Record<string, { rate: number; failures: number; p50: number; p99: number }>;
  /** Milliseconds until the answer to a bare statement of a client that does nothing else. */
  bareP99: number;
  /** Milliseconds by which the fleet's processes were late for their own work. */
  latenessP99: number;
  /** How often an instance used each circuit, per round. */
  uses: number;
  failures: number;
  failure: string;
  outages: number;
  errors: number;
  error: string;
  tableBytes: number;
  deadRows: number;
  fleetBytes: number;
}

const BARE_EVERY_MS = 20;

/** Measures what a fleet costs its server. */
export async function measureFleet(stage: Stage, load: FleetLoad): Promise<FleetCost> {
  await using database = await stage.createDatabase();
  await database.fill(load.circuits);
  const { instances, circuits, connections, options, roundMs, records, warmUpMs } = load;
  const processes = Math.min(load.processes, instances);
  await using workers = await WorkerGroup.start<FleetOrder, FleetAnswer>(
    processes,
    new URL("./fleet_worker.ts", import.meta.url),
    (index) => ({
      type: "begin",
      url: database.url,
      table: database.table,
      instances: Math.floor((instances + index) / processes),
      circuits,
      connections,
      options,
      roundMs,
      records,
    }),
  );
  await using server = await ServerLook.at(stage, database);
  await pass(warmUpMs);
  await database.checkpoint();
  await workers.askAll({ type: "report" });
  const before = await server.take();
  await server.answerBareStatements(load.measuredMs);
  const after = await server.take();
  const answers = await workers.askAll({ type: "report" });
  const { bytes, deadRows } = await database.facts();
  const seconds = (after.at - before.at) / 1000;
  const serverCores = (after.server - before.server) / seconds;
  const fleetCores = sum(answers, ({ cpu }) => cpu) / seconds;
  const families = familiesOf(answers, seconds);
  const sent = Object.values(families).reduce((total, { rate }) => total + rate, 0);
  return {
    instances,
    circuits,
    serverCores,
    fleetCores,
    otherCores: Math.max(0, (after.machine - before.machine) / seconds - serverCores - fleetCores),
    walBytes: (after.wal - before.wal) / seconds,
    perInterval: sent / instances * options.maxStalenessMs / 1000,
    families,
    bareP99: server.bare.percentile(0.99),
    latenessP99: histogramOf(answers.map(({ lateness }) => lateness)).percentile(0.99),
    uses: sum(answers, ({ uses }) => uses) / instances / circuits / (seconds * 1000 / roundMs),
    failures: sum(answers, ({ failures }) => failures),
    failure: answers.find(({ failure }) => failure !== "")?.failure ?? "",
    outages: sum(answers, ({ outages }) => outages),
    errors: sum(answers, ({ errors }) => errors),
    error: answers.find(({ error }) => error !== "")?.error ?? "",
    tableBytes: bytes,
    deadRows,
    fleetBytes: sum(answers, ({ memory }) => memory),
  };
}

/** Looks at the server from a connection of its own. */
class ServerLook implements AsyncDisposable {
  /** Times of statements that cost next to nothing: how fast the server answers an idle client. */
  readonly bare: Histogram = new Histogram();
  readonly #stage: Stage;
  readonly #sql: ReturnType<typeof connect>;

  private constructor(stage: Stage, sql: ReturnType<typeof connect>) {
    this.#stage = stage;
    this.#sql = sql;
  }

  static async at(stage: Stage, { url }: CircuitsDatabase): Promise<ServerLook> {
    const sql = connect(url);
    await sql.unsafe("select 1");
    return new ServerLook(stage, sql);
  }

  async take(): Promise<{ at: number; server: number; machine: number; wal: number }> {
    const [row] = await this.#sql.unsafe(
      "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as wal",
    );
    return {
      at: performance.now(),
      server: await this.#stage.serverCpu("stale"),
      machine: await machineCpuSeconds(),
      wal: Number(row!.wal),
    };
  }

  async answerBareStatements(ms: number): Promise<void> {
    const until = performance.now() + ms;
    while (performance.now() < until) {
      const from = performance.now();
      await this.#sql.unsafe("select 1", [], { prepare: true });
      this.bare.record(performance.now() - from);
      await pass(Math.max(0, Math.min(BARE_EVERY_MS, until - performance.now())));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql[Symbol.asyncDispose]();
  }
}

/** A fleet's figures for people. */
export function linesOf(cost: FleetCost): string[] {
  const families = Object.entries(cost.families).toSorted(([, a], [, b]) => b.rate - a.rate);
  return [
    `${cost.instances} instances x ${cost.circuits.toLocaleString("en")} circuits: server ` +
    `${cost.serverCores.toFixed(3)} cores, WAL ${size(cost.walBytes)}/s, ` +
    `${cost.perInterval.toFixed(2)} statements per instance and interval, ` +
    `table ${size(cost.tableBytes)}, ${cost.deadRows} dead rows`,
    `  fleet ${cost.fleetCores.toFixed(2)} cores and ${size(cost.fleetBytes)} of memory, others ` +
    `${cost.otherCores.toFixed(2)} cores; each circuit used ${
      cost.uses.toFixed(2)
    } times per round`,
    ...families.map(([name, { rate, failures, p50, p99 }]) =>
      `  ${name}: ${rate.toFixed(1)}/s, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms` +
      (failures > 0 ? `, ${failures} failed` : "")
    ),
    `  a bare statement from an idle client: p99 ${cost.bareP99.toFixed(1)} ms; the fleet's own ` +
    `timers: p99 ${cost.latenessP99.toFixed(1)} ms late${bottleneckOf(cost)}`,
    `  ${cost.outages} outages, ${cost.failures} calls failed${after(cost.failure)}, ` +
    `${cost.errors} reported errors${after(cost.error)}`,
  ];
}

/** Says so where the figures are those of busy clients rather than of the server. */
function bottleneckOf({ families, bareP99, latenessP99 }: FleetCost): string {
  const tail = families.tail?.p99 ?? 0;
  return tail > 4 * bareP99 && latenessP99 > tail / 4 ? " (THE CLIENTS ARE THE BOTTLENECK)" : "";
}

function after(message: string): string {
  return message === "" ? "" : ` (${message})`;
}

function familiesOf(answers: FleetAnswer[], seconds: number): FleetCost["families"] {
  const families: FleetCost["families"] = {};
  for (const name of new Set(answers.flatMap((answer) => Object.keys(answer.families)))) {
    const parts = answers.map(({ families }) => families[name]).filter((part) =>
      part !== undefined
    );
    const times = histogramOf(parts.map(({ latencies }) => latencies));
    families[name] = {
      rate: parts.reduce((total, { statements }) => total + statements, 0) / seconds,
      failures: parts.reduce((total, { failures }) => total + failures, 0),
      p50: times.percentile(0.5),
      p99: times.percentile(0.99),
    };
  }
  return families;
}

function histogramOf(parts: number[][]): Histogram {
  const all = new Histogram();
  for (const part of parts) all.add(part);
  return all;
}

function sum(answers: FleetAnswer[], figure: (answer: FleetAnswer) => number): number {
  return answers.reduce((total, answer) => total + figure(answer), 0);
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
