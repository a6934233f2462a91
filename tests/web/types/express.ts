/** The types of Express, connect and Node fit. Checked, never run. */

// @ts-types="@types/connect"
import connect from "connect";
// @ts-types="@types/express"
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from "express";
import type { IncomingMessage, ServerResponse } from "node:http";
import { CircuitBreaker, InMemoryCircuitBreakerStore } from "../../../mod.ts";
import { circuitBreaker, circuitErrorHandler } from "../../../src/web/express.ts";

declare const request: Request;
declare const incoming: IncomingMessage;
declare const response: ServerResponse;
const breaker = new CircuitBreaker(new InMemoryCircuitBreakerStore({ failureRateThreshold: 0.5 }));

const app = express();
app.use("/a", circuitBreaker(breaker, { key: "a" }));
app.get("/b/:id", circuitBreaker(breaker), (req, res) => {
  const id: string = req.params.id;
  res.json({ id });
});
app.get("/c/:id", circuitBreaker(breaker, { key: (req: Request) => req.get("x-tenant") }));
app.use(circuitErrorHandler({ exposeKey: true }));

connect().use(circuitBreaker(breaker, { key: (req: IncomingMessage) => req.url }));
connect().use(circuitErrorHandler());
circuitBreaker(breaker, { key: "d" })(incoming, response, () => {});

export const handlers: RequestHandler[] = [circuitBreaker(breaker)];
export const errorHandler: ErrorRequestHandler = circuitErrorHandler();

// @ts-expect-error Express's types are known, not any.
request.noSuchMethod();
// @ts-expect-error A store is no breaker.
circuitBreaker(new InMemoryCircuitBreakerStore());
// @ts-expect-error An option that does not exist.
circuitBreaker(breaker, { keys: "a" });
