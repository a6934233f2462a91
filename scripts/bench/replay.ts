import postgres from "postgres";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../src/types.ts";
import { ratios } from "./measure.ts";
import type { Stage } from "./stage.ts";

/** A statement as a store sent it. */
export interface SentStatement {
  text: string;
  params: unknown[];
}

/** A statement that is to be sent again and again. */
export interface Replayed extends SentStatement {
  label: string;
  /** The database that it is for. */
  url: string;
  /** Whether the driver prepares it once per connection. Otherwise it is planned each time. */
  isPrepared?: boolean;
}

/** What a statement costs the server. */
export interface ReplayCost {
  label: string;
  /** Microseconds of CPU time per execution, in each round. */
  cpu: number[];
  /** The median of the rounds. */
  median: number;
  /** Milliseconds from the call to the answer, the median of the rounds. */
  ms: number;
}

/** How often statements are sent. */
export interface ReplayPace {
  rounds: number;
  perRound: number;
}

/** A client that remembers what it sent. */
export function recording(client: PostgresClient): PostgresClient & { sent: SentStatement[] } {
  const sent: SentStatement[] = [];
  return {
    ...client,
    sent,
    query(text, params) {
      sent.push({ text, params: params ?? [] });
      return client.query(text, params);
    },
  };
}

/**
 * Sends each statement over a connection of its own, all of them in each round, so that other work on
 * the machine affects all alike. The CPU time is that of the server's process for the connection: it
 * includes planning, and what the driver makes the server do.
 */
export async function replay(
  stage: Stage,
  statements: readonly Replayed[],
  { rounds, perRound }: ReplayPace,
): Promise<ReplayCost[]> {
  await using resources = new AsyncDisposableStack();
  const sessions: Session[] = [];
  for (const statement of statements) {
    sessions.push(resources.use(await Session.open(stage, statement)));
  }
  for (const session of sessions) await session.run(Math.min(perRound, WARM_UP));
  const costs = statements.map(() => ({ cpu: [] as number[], ms: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (let place = 0; place < sessions.length; place++) {
      const index = (place + round) % sessions.length;
      const from = performance.now();
      costs[index]!.cpu.push(await sessions[index]!.run(perRound));
      costs[index]!.ms.push((performance.now() - from) / perRound);
    }
  }
  return statements.map(({ label }, index) => {
    const { cpu, ms } = costs[index]!;
    return { label, cpu, median: medianOf(cpu), ms: medianOf(ms) };
  });
}

/** How many times as much one statement costs as another: the median over the rounds. */
export function costRatio(over: ReplayCost, under: ReplayCost): number {
  return ratios(over.cpu, under.cpu)[1];
}

/** A cost for people. */
export function shownCost({ label, median, ms }: ReplayCost): string {
  return `${label}: ${median.toFixed(0)} us of server CPU, answered in ${ms.toFixed(2)} ms`;
}

/** Before it, a server plans a prepared statement anew each time. */
const WARM_UP = 50;

class Session implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #statement: Replayed;
  readonly #sql: postgres.Sql;
  readonly #client: PostgresClient;
  readonly #pid: number;

  private constructor(stage: Stage, statement: Replayed, sql: postgres.Sql, pid: number) {
    this.#stage = stage;
    this.#statement = statement;
    this.#sql = sql;
    this.#client = fromPostgresJs(sql, { prepare: statement.isPrepared ?? true });
    this.#pid = pid;
  }

  static async open(stage: Stage, statement: Replayed): Promise<Session> {
    const sql = postgres(statement.url, { max: 1, onnotice: () => {}, fetch_types: false });
    const [row] = await sql.unsafe("select pg_backend_pid() as pid");
    return new Session(stage, statement, sql, Number(row!.pid));
  }

  /** Microseconds of CPU time per execution. */
  async run(times: number): Promise<number> {
    const { text, params } = this.#statement;
    const before = await this.#stage.backendCpu(this.#pid);
    for (let time = 0; time < times; time++) await this.#client.query(text, params);
    return (await this.#stage.backendCpu(this.#pid) - before) * 1e6 / times;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#sql.end({ timeout: 5 });
  }
}

function medianOf(numbers: number[]): number {
  return ratios(numbers, numbers.map(() => 1))[1];
}
