import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
import { fromNodePostgres } from "@circuit-breaker/postgres/node-postgres";
import { serve } from "@hono/node-server";
import { circuitBreaker, createGateway, timeout } from "@homegrower-club/stoma";
import process from "node:process";
import pg from "pg";

const { DATABASE_URL, UPSTREAM_URL, PORT, RESET_TIMEOUT_MS, CALL_TIMEOUT_MS } = process.env;

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4 });
pool.on("error", (error) => console.error("idle PostgreSQL connection failed", error));
const client = fromNodePostgres(pool);
await migrate(client);

const resetTimeoutMs = Number(RESET_TIMEOUT_MS ?? 30_000);
const store = new PostgresCircuitBreakerStore(client, {
  failureThreshold: 5,
  failureWindowMs: 60_000,
  resetTimeoutMs,
  maxStalenessMs: 1000,
  onError: (error) => console.error(error),
});
await store.check();

// A circuit for each upstream. The store opens it, and the policy asks the store.
const guarded = (name: string) => ({
  path: `/${name}/*`,
  pipeline: {
    policies: [
      circuitBreaker({ failureThreshold: Infinity, resetTimeoutMs, store, key: () => name }),
      timeout({ timeoutMs: Number(CALL_TIMEOUT_MS ?? 5000) }),
    ],
    upstream: { type: "url" as const, target: UPSTREAM_URL! },
  },
});
const gateway = createGateway({ routes: [guarded("payments"), guarded("reports")] });

const server = serve(
  { fetch: gateway.app.fetch, hostname: "127.0.0.1", port: Number(PORT ?? 8000) },
  ({ port }) => console.log(`Listening on http://127.0.0.1:${port}`),
);
process.once("SIGTERM", () => {
  server.close(async () => {
    await store.close();
    await pool.end();
  });
});
