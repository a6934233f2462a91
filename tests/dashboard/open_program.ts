/** Opens a circuit from another process. Arguments: the connection string, the key. Prints when. */

import postgres from "postgres";
import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";

const [url = "", key = ""] = Deno.args;
const sql = postgres(url, { max: 1 });
const store = new PostgresCircuitBreakerStore(fromPostgresJs(sql), { instanceId: "gateway-7" });
await store.recordFailure(key);
await store.transition(key, "open");
console.log(Date.now());
await store.close();
await sql.end();
