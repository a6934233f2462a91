import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
import { fromPostgresJs } from "@circuit-breaker/postgres/postgres-js";
import { circuitBreaker, createGateway } from "@homegrower-club/stoma";
import postgres from "postgres";

const client = fromPostgresJs(postgres(Deno.env.get("DATABASE_URL")!, { fetch_types: false }));
await migrate(client); // creates or upgrades the table; safe at every start of every instance

const store = new PostgresCircuitBreakerStore(client, {
  failureRateThreshold: 0.5, // half of at least 20 calls a minute, over all instances
  resetTimeoutMs: 30_000,
  onError: (error) => console.error(error),
});
await store.check(); // fails here where the store cannot work, before traffic comes

const gateway = createGateway({
  routes: [{
    path: "/payments/*",
    pipeline: {
      policies: [circuitBreaker({ failureThreshold: Infinity, resetTimeoutMs: 30_000, store })],
      upstream: { type: "url", target: Deno.env.get("PAYMENTS_URL")! },
    },
  }],
});

export default { fetch: gateway.app.fetch }; // deno serve --allow-env --allow-net main.ts
