import { migrate, PostgresCircuitBreakerStore } from "@circuit-breaker/postgres";
import { circuitBreaker } from "@homegrower-club/stoma";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
pool.on("error", (error) => console.error("idle PostgreSQL connection failed", error));
await migrate(pool);

const store = new PostgresCircuitBreakerStore(pool, { onError: (error) => console.error(error) });
await store.check();

export const policy = circuitBreaker({ store });
