import type postgres from "postgres";
import { migrate } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { connect, createDatabase } from "../../tests/support/database.ts";

/** What a table looks like after a load. */
export interface TableFacts {
  /** Everything on disk, index included, in bytes. */
  bytes: number;
  /** Rows that no transaction can see any more and that still take room. */
  deadRows: number;
  /** The sum of all success counters. */
  successes: number;
}

/** The name of every contender's table; each has a database of its own. */
export const TABLE = "stoma_circuit_breakers";

/** A table of circuits in a database of its own, seen by an administrator. */
export class CircuitsDatabase implements AsyncDisposable {
  /** The database's connection string. */
  readonly url: string;
  /** The table's name. */
  readonly table: string = TABLE;
  readonly #sql: postgres.Sql;
  readonly #resources: AsyncDisposableStack;
  readonly #exact: boolean;

  private constructor(
    url: string,
    sql: postgres.Sql,
    resources: AsyncDisposableStack,
    exact: boolean,
  ) {
    this.url = url;
    this.#sql = sql;
    this.#resources = resources;
    this.#exact = exact;
  }

  /** Creates the database and the table: ours, or by the given SQL. */
  static async create(admin: string, schemaSql?: string): Promise<CircuitsDatabase> {
    await using resources = new AsyncDisposableStack();
    const { url } = resources.use(await createDatabase(admin));
    const sql = resources.use(connect(url));
    if (schemaSql === undefined) await migrate(fromPostgresJs(sql), TABLE);
    else await sql.unsafe(schemaSql);
    const exact = await canCountDeadRows(sql);
    return new CircuitsDatabase(url, sql, resources.move(), exact);
  }

  /** Replaces all circuits by new ones, numbered from 0. */
  async fill(circuits: number): Promise<void> {
    await this.#sql.unsafe(`truncate ${TABLE}`);
    await this.#sql.unsafe(
      `insert into ${TABLE} (key) select 'circuit-' || i from generate_series(0, $1::int - 1) i`,
      [circuits],
    );
    await this.#sql.unsafe(`vacuum (analyze) ${TABLE}`);
  }

  /**
   * Fills the log with changes of the circuits in turn: each opens and closes again and again. They are
   * those of many transactions that are over, or of one that no reader has seen yet.
   */
  async fillLog(rows: number, circuits: number, isNew: boolean = false): Promise<void> {
    await this.#sql.unsafe(
      `insert into ${TABLE}_changes
        (version, xid, key, at, from_state, to_state, cause, actor, role, failure_count)
      select nextval('${TABLE}_versions'),
        case when $3::boolean then pg_current_xact_id()
          else (pg_current_xact_id()::text::bigint * i / ($1::int + 1))::text::xid8 end,
        'circuit-' || (i - 1) % $2::int,
        (extract(epoch from clock_timestamp()) * 1000)::bigint - ($1::int - i) * 10,
        case (i - 1) / $2::int % 2 when 0 then 'closed' else 'open' end,
        case (i - 1) / $2::int % 2 when 0 then 'open' else 'closed' end,
        case (i - 1) / $2::int % 2 when 0 then 'trip' else 'probe' end,
        'instance-' || i % 10, 'gateway', 5
      from generate_series(1, $1::int) as i`,
      [rows, circuits, isNew],
    );
    if (!isNew) await this.#sql.unsafe(`vacuum (analyze) ${TABLE}_changes`);
  }

  /** Looks at the table as it is now. */
  async facts(): Promise<TableFacts> {
    const deadRows = this.#exact
      ? `(select dead_tuple_count from pgstattuple('${TABLE}'))`
      : `(select n_dead_tup from pg_stat_user_tables where relname = '${TABLE}')`;
    const [row] = await this.#sql.unsafe(
      `select pg_total_relation_size('${TABLE}') as bytes, ${deadRows} as dead,
        (select sum(success_count) from ${TABLE}) as successes`,
    );
    return {
      bytes: Number(row?.bytes),
      deadRows: Number(row?.dead),
      successes: Number(row?.successes),
    };
  }

  /** Has the server write what it has put off, so that no contender pays for another's. */
  async checkpoint(): Promise<void> {
    await this.#sql.unsafe("checkpoint").catch(() => {}); // not every role may do this
  }

  /** What the server says of itself. */
  async serverVersion(): Promise<string> {
    const [row] = await this.#sql.unsafe("select current_setting('server_version') as version");
    return String(row?.version);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

/** The statistics that every server has lag behind; the extension counts, where it may be created. */
async function canCountDeadRows(sql: postgres.Sql): Promise<boolean> {
  try {
    await sql.unsafe("create extension if not exists pgstattuple");
    return true;
  } catch {
    return false;
  }
}
