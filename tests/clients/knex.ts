import type { PostgresClient } from "@circuit-breaker/postgres";
import type { Knex } from "knex";

/** Statements of the store on the connections of a Knex. Its `raw` would read each `?` as a parameter. */
export function fromKnex(knex: Knex): PostgresClient {
  return {
    async query(text, params) {
      const connection = await knex.client.acquireConnection();
      try {
        return await connection.query(text, params);
      } finally {
        await knex.client.releaseConnection(connection);
      }
    },
  };
}
