/**
 * A program that meets an outage and ends without closing its store: nothing that the store left
 * behind may keep it alive. Arguments: driver, mode, connection string.
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { openDriver } from "./drivers.ts";
import type { Driver } from "./messages.ts";

const [driver, mode, url] = Deno.args;
const { client, [Symbol.asyncDispose]: close } = openDriver(driver as Driver, url!);
const store = new PostgresCircuitBreakerStore(client, undefined, {
  onOutage: mode === "local" ? "local" : "throw",
  maxStalenessMs: mode === "bounded" ? 100 : 0,
  timeoutMs: 300,
  onOutageChange: ({ isOut }) => console.log(isOut ? "out" : "back"),
});
await store.recordFailure("api").catch(() => {});
await store.recordFailure("api").catch(() => {});
await close();
console.log("done");
