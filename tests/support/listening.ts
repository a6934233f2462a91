/**
 * A client that can listen, on a connection of node-postgres of its own, whatever runs its queries.
 *
 * @module
 */

// @ts-types="@types/pg"
import pg from "pg";
import type { PostgresClient, Unlisten } from "../../src/types.ts";

/**
 * Adds `listen` to a client.
 *
 * @param url Where to listen.
 * @param hears Whether a notification gets through; all do by default.
 */
export function listening(
  client: PostgresClient,
  url: string,
  hears: () => boolean = () => true,
): PostgresClient {
  return {
    query: (text, params) => client.query(text, params),
    async listen(channel, onNotification): Promise<Unlisten> {
      const connection = new pg.Client({ connectionString: url });
      const lost = Promise.withResolvers<void>();
      let isOver = false;
      connection.on("error", () => {}); // followed by its end
      connection.on("end", () => {
        if (!isOver) lost.resolve();
      });
      connection.on("notification", ({ payload = "" }) => {
        if (!isOver && hears()) onNotification(payload);
      });
      await connection.connect();
      await connection.query(`listen ${channel}`);
      return Object.assign(async () => {
        isOver = true;
        await connection.end();
      }, { lost: lost.promise });
    },
  };
}
