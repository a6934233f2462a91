import type { PostgresClient } from "@circuit-breaker/postgres";
import { CompiledQuery, type Kysely } from "kysely";

/** Statements of the store on the connections of a Kysely. */
export function fromKysely<Tables>(db: Kysely<Tables>): PostgresClient {
  return {
    query: (text, params) =>
      db.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text, params)),
  };
}
