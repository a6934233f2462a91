import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
import { fromBunSql } from "@circuit-breaker/postgres/bun-sql";
import { circuitBreaker } from "@homegrower-club/stoma";
import { SQL } from "bun";

const client = fromBunSql(new SQL(process.env.DATABASE_URL!));
await migrate(client);

const store = new PostgresCircuitBreakerStore(client, { onError: (error) => console.error(error) });
await store.check();

export const policy = circuitBreaker({ store });
