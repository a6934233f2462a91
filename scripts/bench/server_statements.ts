import { connect } from "../../tests/support/database.ts";

const EXACT = "select coalesce(sum(calls), 0) as count from pg_stat_statements s " +
  "join pg_database d on d.oid = s.dbid where d.datname = current_database()";

// Lags a second behind, and counts the server's own transactions as well.
const ROUGH = "select xact_commit + xact_rollback as count from pg_stat_database " +
  "where datname = current_database()";

/** How many statements a database has seen, by the server's own account, without those that ask. */
export class ServerStatements implements AsyncDisposable {
  /** Whether it counts statements; otherwise it counts transactions, roughly. */
  readonly isExact: boolean;
  readonly #sql: ReturnType<typeof connect>;
  #asked = 0;

  private constructor(sql: ReturnType<typeof connect>, isExact: boolean) {
    this.#sql = sql;
    this.isExact = isExact;
  }

  /** Watches a throw-away database; connections that are opened from now on are counted. */
  static async watch(url: string): Promise<ServerStatements> {
    const sql = connect(url, { fetch_types: false });
    const isExact = await prepareToCount(sql);
    return new ServerStatements(sql, isExact);
  }

  /** Statements so far. */
  async count(): Promise<number> {
    const [row] = await this.#sql.unsafe(this.isExact ? EXACT : ROUGH);
    const count = Number(row!.count);
    return this.isExact ? count : count - this.#asked++;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql[Symbol.asyncDispose]();
  }
}

/** Needs the module loaded with the server, as the benchmark's own has it, and a superuser. */
async function prepareToCount(sql: ReturnType<typeof connect>): Promise<boolean> {
  try {
    await sql.unsafe("set pg_stat_statements.track = 'none'");
    await sql.unsafe("create extension if not exists pg_stat_statements");
    await sql.unsafe(EXACT);
    await sql.unsafe(
      "do $$ begin execute format('alter database %I set pg_stat_statements.track = top', " +
        "current_database()); end $$",
    );
    return true;
  } catch {
    return false;
  }
}
