import {
  CircuitBreaker,
  circuitErrorResponse,
  PostgresCircuitBreakerStore,
  type PostgresClient,
} from "@circuit-breaker/postgres";
import { env, waitUntil } from "cloudflare:workers";
import pg from "pg";

// A connection for each statement: it belongs to the request. Hyperdrive keeps those to the server open.
const client: PostgresClient = {
  async query(text, params) {
    const connection = new pg.Client({ connectionString: env.HYPERDRIVE.connectionString });
    connection.on("error", () => {}); // a lost connection fails its statement
    await connection.connect();
    try {
      return await connection.query(text, params);
    } finally {
      waitUntil(connection.end());
    }
  },
};

const store = new PostgresCircuitBreakerStore(client, {
  waitUntil,
  failureThreshold: 5,
  failureWindowMs: 60_000,
  resetTimeoutMs: Number(env.RESET_TIMEOUT_MS ?? 30_000),
  maxStalenessMs: 1000,
  onOutage: "local",
  onError: (error) => console.error(error),
});
const breaker = new CircuitBreaker(store, { callTimeoutMs: Number(env.CALL_TIMEOUT_MS ?? 5000) });

// A circuit for the first part of the path, such as "payments".
const guardedFetch = breaker.wrapFetch(fetch, {
  key: ({ url }) => url.pathname.split("/")[1],
});

export default {
  async fetch({ url, method, headers, body }: Request): Promise<Response> {
    const { pathname, search } = new URL(url);
    try {
      return await guardedFetch(env.UPSTREAM_URL + pathname + search, { method, headers, body });
    } catch (error) {
      // An open circuit becomes status 503 with Retry-After, a call that takes too long 504.
      console.error(error);
      return (circuitErrorResponse(error) ??
        new Response("Bad Gateway", { status: 502 })) as Response;
    }
  },
};
