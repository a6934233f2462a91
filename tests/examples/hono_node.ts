import { CircuitBreaker, migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
import { circuitBreaker, circuitErrorResponse, guard } from "@circuit-breaker/postgres/hono";
import { fromNodePostgres } from "@circuit-breaker/postgres/node-postgres";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { proxy } from "hono/proxy";
import process from "node:process";
import pg from "pg";

const { DATABASE_URL, UPSTREAM_URL, PORT, RESET_TIMEOUT_MS, CALL_TIMEOUT_MS } = process.env;

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4 });
pool.on("error", (error) => console.error("idle PostgreSQL connection failed", error));
await migrate(pool);

const store = new PostgresCircuitBreakerStore(fromNodePostgres(pool), {
  failureThreshold: 5,
  failureWindowMs: 60_000,
  resetTimeoutMs: Number(RESET_TIMEOUT_MS ?? 30_000),
  maxStalenessMs: 1000,
  onError: (error) => console.error(error),
});
const breaker = new CircuitBreaker(store, { callTimeoutMs: Number(CALL_TIMEOUT_MS ?? 5000) });

const app = new Hono();
app.onError((error, c) => {
  console.error(error);
  return circuitErrorResponse(error) ?? c.text("Bad Gateway", 502);
});

// A circuit for an upstream. The signal ends the upstream's call with the client's and in time.
app.all(
  "/payments/*",
  guard(
    breaker,
    "payments",
    (c, { signal }) => proxy(`${UPSTREAM_URL}${c.req.path}`, { raw: c.req.raw, signal }),
  ),
);

// A circuit for a route of this server: "GET /reports/:id".
app.get("/reports/:id", circuitBreaker(breaker), async (c) => {
  const response = await fetch(`${UPSTREAM_URL}/reports/${c.req.param("id")}`);
  return c.json(await response.json(), response.ok ? 200 : 500);
});

const server = serve(
  { fetch: app.fetch, hostname: "127.0.0.1", port: Number(PORT ?? 8000) },
  ({ port }) => console.log(`Listening on http://127.0.0.1:${port}`),
);
process.once("SIGTERM", () => {
  server.close(async () => {
    await breaker.close();
    await store.close();
    await pool.end();
  });
});
