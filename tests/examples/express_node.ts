import { CircuitBreaker, migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
import { circuitBreaker, circuitErrorHandler } from "@circuit-breaker/postgres/express";
import { fromNodePostgres } from "@circuit-breaker/postgres/node-postgres";
import express, { type ErrorRequestHandler } from "express";
import type { AddressInfo } from "node:net";
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
const guardedFetch = breaker.wrapFetch(fetch, { key: "payments" });

const app = express();

// A circuit for an upstream: guardedFetch rejects while it is open.
app.get("/payments/:id", async (req, res) => {
  const response = await guardedFetch(`${UPSTREAM_URL}/payments/${req.params.id}`);
  res.status(response.status).json(await response.json());
});

// A circuit for a route of this server: "GET /reports/:id".
app.get("/reports/:id", circuitBreaker(breaker), async (req, res) => {
  const response = await fetch(`${UPSTREAM_URL}/reports/${req.params.id}`);
  res.status(response.ok ? 200 : 500).json(await response.json());
});

// An open circuit becomes status 503 with Retry-After, a call that takes too long 504.
app.use(circuitErrorHandler());
const badGateway: ErrorRequestHandler = (error, _req, res, next) => {
  console.error(error);
  if (res.headersSent) next(error);
  else res.status(502).send("Bad Gateway");
};
app.use(badGateway);

const server = app.listen(Number(PORT ?? 8000), "127.0.0.1", () => {
  console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once("SIGTERM", () => {
  server.close(async () => {
    await breaker.close();
    await store.close();
    await pool.end();
  });
});
