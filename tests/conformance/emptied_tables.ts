/**
 * Migrated tables that sessions use one after the other. To migrate a table takes about seventy times
 * as long as to empty one (measured on PostgreSQL 18), and each further table costs all connections the
 * statements that they prepare for it.
 */

import type { PostgresClient } from "../../mod.ts";

/** Makes a table; `migrate` by default. */
export type PrepareTable = (table: string) => Promise<void>;

/** Tables that are as new whenever a session takes one. */
export class EmptiedTables {
  readonly #owner: PostgresClient;
  readonly #prepare: PrepareTable;
  readonly #free: string[] = [];
  #made = 0;

  /** @param owner A client whose role owns the tables. */
  constructor(owner: PostgresClient, prepare: PrepareTable) {
    this.#owner = owner;
    this.#prepare = prepare;
  }

  /** The table that the next call of {@linkcode take} gives. */
  get next(): string {
    return this.#free.at(-1) ?? `circuits_${this.#made + 1}`;
  }

  /** Gives a table that no other session uses, and makes it or empties it. */
  async take(): Promise<string> {
    const table = this.next;
    if (this.#free.pop() !== undefined) {
      await this.#owner.query(emptyTableSql(table));
    } else {
      this.#made++;
      await this.#prepare(table);
    }
    return table;
  }

  /** Takes a table back, once nothing uses it any more. */
  giveBack(table: string): void {
    this.#free.push(table);
  }
}

/** The statement that brings a table into the state in which a migration leaves a new one. */
export function emptyTableSql(table: string): string {
  return `do $$ begin
    delete from ${table};
    delete from ${table}_changes;
    delete from ${table}_instances where id <> 'token';
    update ${table}_instances set label = default, bound_ms = default, seen_at = default,
      flush = default, left_over = default, pruned_xid = default;
    perform setval('${table}_versions', 1, false);
  end $$`;
}

/** A client that knows when none of its statements is under way. */
export function countQueries(client: PostgresClient): CountedClient {
  let underWay = 0;
  let onIdle = () => {};
  const query: PostgresClient["query"] = async (text, params) => {
    underWay++;
    try {
      return await client.query(text, params);
    } finally {
      if (--underWay === 0) onIdle();
    }
  };
  const { listen } = client;
  const listening = listen && { listen: { value: listen.bind(client) } };
  return {
    // What an adapter says of its client beside these stays in force.
    client: Object.create(client, { query: { value: query }, ...listening }),
    idle: () => underWay === 0 ? Promise.resolve() : new Promise((resolve) => onIdle = resolve),
  };
}

/** A client whose statements are counted. */
export interface CountedClient {
  readonly client: PostgresClient;
  /** Resolves when no statement is under way: one that a store gave up can still write. */
  idle(): Promise<void>;
}
