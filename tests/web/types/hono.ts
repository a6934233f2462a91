/** The types of Hono fit. Checked, never run. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import { CircuitBreaker, InMemoryCircuitBreakerStore } from "../../../mod.ts";
import { circuitBreaker, circuitErrorResponse, guard } from "../../../src/web/hono.ts";

interface Env {
  Variables: { tenant: string };
}

declare const context: Context<Env>;
const breaker = new CircuitBreaker(new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }));
const withFallback = new CircuitBreaker(
  new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }),
  { fallback: () => 1 },
);
const app = new Hono<Env>();

app.use(circuitBreaker(breaker));
app.use("/a/*", circuitBreaker(withFallback, { key: "a", exposeKey: true }));
app.get("/f", circuitBreaker(breaker, { key: (c: Context<Env>) => c.get("tenant") }));
app.get("/b/:id", circuitBreaker(breaker), (c) => {
  const id: string = c.req.param("id");
  return c.json({ id });
});
app.get("/c", circuitBreaker(breaker, { key: (c) => c.req.header("x-tenant") }));
app.use(circuitBreaker(breaker, { respond: (error, _c) => new Response(error.key) }));
app.all("/d/:id", guard(breaker, "d", (c, { signal }) => fetch(c.req.url, { signal })));
app.all("/e/:id", guard(breaker, { key: "e" }, (c: Context<Env>) => c.text(c.get("tenant"))));
app.onError((error, c) => circuitErrorResponse(error) ?? c.text("failed", 500));

export const middleware: MiddlewareHandler = circuitBreaker(breaker);

// @ts-expect-error Hono's types are known, not any.
context.noSuchMethod();
// @ts-expect-error A store is no breaker.
circuitBreaker(new InMemoryCircuitBreakerStore());
// @ts-expect-error An option that does not exist.
circuitBreaker(breaker, { keys: "a" });
// @ts-expect-error A handler returns a response.
guard(breaker, "f", () => 1);
// @ts-expect-error Middleware of another framework.
export const wrong: MiddlewareHandler = (_req: string, _res: string, _next: () => void) => {};
