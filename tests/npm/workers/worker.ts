/**
 * A Worker with stores at module scope. Its test bundles it for workerd, and calls its stores by HTTP.
 *
 * @module
 */

// @ts-types="@types/pg"
import pg from "pg";
import {
  CircuitBreaker,
  circuitErrorResponse,
  InMemoryCircuitBreakerStore,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../../mod.ts";
import type { StomaGateway } from "../../support/stoma.ts";
import type { Seen, StoreAnswer, StoreCall } from "./messages.ts";
import { CALL_TIMEOUT_MS } from "./messages.ts";
import { env, loadStoma, waitUntil } from "./runtime.ts";

const outages: Seen["outages"][number][] = [];
const errors: string[] = [];
const statements: Seen["statements"][number][] = [];

/** A connection for each statement, as Hyperdrive wants it. */
const client: PostgresClient = {
  async query(text, params) {
    const connection = new pg.Client({ connectionString: env.HYPERDRIVE.connectionString });
    connection.on("error", () => {}); // a connection that is lost fails its statement
    await connection.connect();
    try {
      return await connection.query(text, params);
    } finally {
      waitUntil(connection.end());
    }
  },
};

const recorded: PostgresClient = {
  query(text, params) {
    statements.push({ text, at: Date.now() });
    return client.query(text, params);
  },
};

/** A client that is ended before its statement is answered. */
const hasty: PostgresClient = {
  async query(text, params) {
    const connection = new pg.Client({ connectionString: env.HYPERDRIVE.connectionString });
    await connection.connect();
    await connection.end();
    return await connection.query(text, params);
  },
};

/** Options of a store, which is named for what it sees. */
function optionsOf(
  store: string,
  timeoutMs: number,
  more: PostgresCircuitBreakerStoreOptions = {},
): PostgresCircuitBreakerStoreOptions {
  return {
    table: "circuits",
    waitUntil,
    timeoutMs,
    onOutage: "local",
    onOutageChange: ({ isOut }) => void outages.push({ store, isOut, at: Date.now() }),
    onError: ({ message }) => void errors.push(`${store}: ${message}`),
    ...more,
  };
}

/** For what must not miss a deadline on a busy machine. */
const PATIENCE_MS = 10_000;

const cache = { maxStalenessMs: 400, countWithinMs: 1500 };
const stores: Record<string, PostgresCircuitBreakerStore> = {
  plain: new PostgresCircuitBreakerStore(client, optionsOf("plain", 500)),
  patient: new PostgresCircuitBreakerStore(client, optionsOf("patient", PATIENCE_MS)),
  cached: new PostgresCircuitBreakerStore(recorded, optionsOf("cached", PATIENCE_MS, cache)),
  probing: new PostgresCircuitBreakerStore(
    client,
    optionsOf("probing", PATIENCE_MS, { resetTimeoutMs: 300 }),
  ),
  hasty: new PostgresCircuitBreakerStore(hasty, optionsOf("hasty", PATIENCE_MS)),
  unbound: new PostgresCircuitBreakerStore(client, { table: "circuits" }),
};

const rules = { trip: "store", failureThreshold: 3, resetTimeoutMs: 300 } as const;
const breakers: Record<string, CircuitBreaker> = {
  "/guarded/database": new CircuitBreaker(
    new PostgresCircuitBreakerStore(client, optionsOf("guarding", PATIENCE_MS, rules)),
    { callTimeoutMs: CALL_TIMEOUT_MS },
  ),
  "/guarded/memory": new CircuitBreaker(
    new InMemoryCircuitBreakerStore(rules),
    { callTimeoutMs: CALL_TIMEOUT_MS },
  ),
};

async function guard(breaker: CircuitBreaker): Promise<Response> {
  try {
    return await breaker.execute("upstream", ({ signal }) => fetch(env.UPSTREAM, { signal }));
  } catch (error) {
    return circuitErrorResponse(error) ?? Response.json(`${error}`, { status: 504 });
  }
}

let gateway: StomaGateway | undefined;

async function openGateway(): Promise<StomaGateway> {
  const stoma = await loadStoma();
  return stoma.createGateway({
    routes: [{
      path: "/*",
      pipeline: {
        policies: [stoma.circuitBreaker({
          failureThreshold: 3,
          resetTimeoutMs: 300,
          halfOpenMax: 1,
          key: () => "gateway",
          store: stores["probing"]!,
        })],
        upstream: { type: "url", target: env.UPSTREAM },
      },
    }],
  });
}

async function call({ store, method, args }: StoreCall): Promise<StoreAnswer> {
  const beganAt = Date.now();
  const used = store === "of request"
    ? new PostgresCircuitBreakerStore(client, optionsOf(store, PATIENCE_MS))
    : stores[store]!;
  try {
    const run = Reflect.get(used, method) as (...args: unknown[]) => Promise<unknown>;
    const result = await run.apply(used, [...args]);
    return { result: result ?? null, ms: Date.now() - beganAt };
  } catch (error) {
    const { name, message } = error as Error;
    return { error: { name, message }, ms: Date.now() - beganAt };
  }
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const breaker = breakers[pathname];
    if (breaker !== undefined) return await guard(breaker);
    switch (pathname) {
      case "/call":
        return Response.json(await call(await request.json()));
      case "/seen":
        return Response.json({ outages, errors, statements } satisfies Seen);
      default:
        gateway ??= await openGateway();
        return await gateway.app.fetch(request);
    }
  },
};
