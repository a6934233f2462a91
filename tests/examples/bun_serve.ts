import {
  CircuitBreaker,
  circuitErrorResponse,
  migrate,
  PostgresCircuitBreakerStore,
} from "@circuit-breaker/postgres";
import { fromBunSql } from "@circuit-breaker/postgres/bun-sql";
import { SQL } from "bun";

const { DATABASE_URL, UPSTREAM_URL, PORT, RESET_TIMEOUT_MS, CALL_TIMEOUT_MS } = process.env;

const sql = new SQL(DATABASE_URL!, { max: 4 });
const client = fromBunSql(sql);
await migrate(client);

const store = new PostgresCircuitBreakerStore(client, {
  failureThreshold: 5,
  failureWindowMs: 60_000,
  resetTimeoutMs: Number(RESET_TIMEOUT_MS ?? 30_000),
  maxStalenessMs: 1000,
  onError: (error) => console.error(error),
});
const breaker = new CircuitBreaker(store, { callTimeoutMs: Number(CALL_TIMEOUT_MS ?? 5000) });
const guardedFetch = breaker.wrapFetch();

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(PORT ?? 8000),
  // A circuit for the upstream: its key is the origin. The client's signal ends the upstream's call too.
  async fetch({ method, url, headers, body, signal }) {
    const { pathname, search } = new URL(url);
    const target = new URL(pathname + search, UPSTREAM_URL);
    return await guardedFetch(target, { method, headers, body, signal });
  },
  // An open circuit becomes status 503 with Retry-After, a call that takes too long 504.
  error(error) {
    console.error(error);
    return (circuitErrorResponse(error) ??
      new Response("Bad Gateway", { status: 502 })) as Response;
  },
});
console.log(`Listening on ${server.url}`);

process.once("SIGTERM", async () => {
  await server.stop();
  await breaker.close();
  await store.close();
  await sql.close();
  process.exit();
});
