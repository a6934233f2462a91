import postgres from "postgres";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import type { PostgresClient } from "../../src/types.ts";

/** A client that counts what it sends. Disposal ends its connections. */
export interface CountingClient extends AsyncDisposable {
  readonly client: PostgresClient;
  /** How many statements it has sent so far. */
  statements(): number;
}

const CONNECTIONS = 10;

/** All contenders have the same driver, pool and adapter. Only their statements differ. */
export function openClient(url: string, connections: number = CONNECTIONS): CountingClient {
  const sql = postgres(url, { max: connections, onnotice: () => {} });
  const inner = fromPostgresJs(sql);
  let sent = 0;
  const client: PostgresClient = {
    query(text, params) {
      sent++;
      return inner.query(text, params);
    },
  };
  if (inner.listen !== undefined) {
    client.listen = (channel, onNotification) => {
      sent++;
      return inner.listen!(channel, onNotification);
    };
  }
  return {
    client,
    statements: () => sent,
    [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }),
  };
}
