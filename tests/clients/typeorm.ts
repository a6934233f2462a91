import type { PostgresClient } from "@circuit-breaker/postgres";
import type { DataSource } from "typeorm";

/** Statements of the store on the connections of an initialized DataSource. */
export function fromTypeOrm(source: DataSource): PostgresClient {
  return {
    async query(text, params) {
      const runner = source.createQueryRunner();
      try {
        return { rows: (await runner.query(text, params, true)).records };
      } finally {
        await runner.release();
      }
    },
  };
}
