/** Watches until it has heard of one change, and has nothing that would end it. */

import postgres from "postgres";
import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";

const url = Deno.env.get("WATCHED_URL")!;
const sql = postgres(url, { fetch_types: false, idle_timeout: 1 });
const controller = new AbortController();
const store = new PostgresCircuitBreakerStore(fromPostgresJs(sql));
const changes = store.watch({ signal: controller.signal });
await store.transition("api", "open");
for await (const { key, to } of changes) {
  console.log(key, to);
  controller.abort();
}
for await (const { key } of store.watch({ signal: controller.signal })) console.log(key);
console.log("over");
