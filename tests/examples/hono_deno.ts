import { CircuitBreaker, migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
import { circuitBreaker, circuitErrorResponse, guard } from "@circuit-breaker/postgres/hono";
import { fromPostgresJs } from "@circuit-breaker/postgres/postgres-js";
import { Hono } from "hono";
import { proxy } from "hono/proxy";
import postgres from "postgres";

const env = (name: string, otherwise = "") => Deno.env.get(name) ?? otherwise;
const upstream = env("UPSTREAM_URL");

const sql = postgres(env("DATABASE_URL"), { fetch_types: false });
const client = fromPostgresJs(sql);
await migrate(client);

const store = new PostgresCircuitBreakerStore(client, {
  failureThreshold: 5,
  failureWindowMs: 60_000,
  resetTimeoutMs: Number(env("RESET_TIMEOUT_MS", "30000")),
  maxStalenessMs: 1000,
  onError: (error) => console.error(error),
});
const breaker = new CircuitBreaker(store, {
  callTimeoutMs: Number(env("CALL_TIMEOUT_MS", "5000")),
});

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
    (c, { signal }) => proxy(`${upstream}${c.req.path}`, { raw: c.req.raw, signal }),
  ),
);

// A circuit for a route of this server: "GET /reports/:id".
app.get("/reports/:id", circuitBreaker(breaker), async (c) => {
  const response = await fetch(`${upstream}/reports/${c.req.param("id")}`);
  return c.json(await response.json(), response.ok ? 200 : 500);
});

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: Number(env("PORT", "8000")),
  onListen: ({ port }) => console.log(`Listening on http://127.0.0.1:${port}`),
}, app.fetch);
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  await breaker.close();
  await store.close();
  await sql.end();
  Deno.exit();
});
