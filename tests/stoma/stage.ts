/**
 * A real gateway of Stoma's, its upstream in the same process, and a store of this package on a real
 * server. Faults are made in the database.
 *
 * @module
 */

import {
  migrate,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { connect, createDatabase } from "../support/database.ts";
import {
  type CircuitBreakerPolicyOptions,
  type GatewayOptions,
  loadStoma,
  type Stoma,
} from "../support/stoma.ts";

/** The real package. */
export const stoma: Stoma = await loadStoma();

/** What a request through the gateway got. */
export interface Answer {
  status: number;
  retryAfter: string | null;
  body: Record<string, unknown>;
}

/** A gateway with everything that its tests need. */
export interface Stage extends AsyncDisposable {
  readonly store: PostgresCircuitBreakerStore;
  readonly upstream: {
    /** What it answers to each request. */
    respond: () => Response;
    /** How many requests reached it. */
    received: number;
  };
  request(path?: string): Promise<Answer>;
  /** The circuit's state in the database, as another instance reads it. */
  stateOf(key?: string): Promise<string>;
  /** Runs a statement as the administrator. */
  run(text: string): Promise<unknown>;
  /** Lets time pass for the circuits in the database. */
  age(ms: number): Promise<void>;
}

/**
 * Opens a gateway whose policy has these options; its upstream answers 200 to begin with. Its store has
 * none, unless they are given.
 */
export async function openStage(
  policy: CircuitBreakerPolicyOptions,
  onError?: (error: Error) => Response,
  options?: PostgresCircuitBreakerStoreOptions,
): Promise<Stage> {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const admin: PostgresClient = fromPostgresJs(cleanup.use(connect(database.url)));
  await migrate(admin);
  const open = () => {
    const client = fromPostgresJs(cleanup.use(connect(database.url, { max: 2 })));
    return cleanup.use(new PostgresCircuitBreakerStore(client, options));
  };
  const store = open();
  const other = open();
  const upstream = { respond: () => answerOf(200), received: 0 };
  const handler = () => {
    upstream.received++;
    return upstream.respond();
  };
  const { app } = stoma.createGateway({
    routes: [{
      path: "/*",
      pipeline: {
        policies: [stoma.circuitBreaker({ ...policy, store })],
        upstream: { type: "handler", handler },
      },
    }],
    ...onError && { onError },
    // The types of tests/support know upstreams with an address only.
  } as unknown as GatewayOptions);
  const kept = cleanup.move();
  return {
    store,
    upstream,
    async request(path = "/orders") {
      const response = await app.request(path);
      return {
        status: response.status,
        retryAfter: response.headers.get("retry-after"),
        body: await response.json(),
      };
    },
    stateOf: async (key = "/orders") => (await other.getState(key)).state,
    run: (text) => admin.query(text),
    async age(ms) {
      await admin.query(
        "update stoma_circuit_breakers set last_state_change = last_state_change - $1::text::bigint",
        [`${ms}`],
      );
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** An upstream's answer. */
export function answerOf(status: number, body: unknown = { orders: [] }): Response {
  return Response.json(body, { status });
}
