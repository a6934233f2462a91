/**
 * The operator's window: one page that shows all circuits of the fleet, live, and what happened to them.
 * A handler of web-standard requests for every server: Deno, Bun, Hono, or Node through an adapter.
 *
 * @example Serving it on Deno, for reading
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { dashboard } from "@circuit-breaker/postgres/dashboard";
 *
 * const store = new InMemoryCircuitBreakerStore();
 * const server = Deno.serve({ hostname: "127.0.0.1", port: 0 }, dashboard(store));
 * const page = await fetch(`http://127.0.0.1:${server.addr.port}/`);
 * assertEquals(page.headers.get("content-type"), "text/html; charset=utf-8");
 * await page.body?.cancel();
 * await server.shutdown();
 * ```
 *
 * @module
 */

import { DashboardRoutes } from "./handler.ts";
import { assertStore, type DashboardOptions, resolveDashboardOptions } from "./options.ts";
import type { DashboardStore } from "./store_like.ts";
import type { WebRequest, WebResponse } from "./web_types.ts";

export type { DashboardAccess, DashboardOptions } from "./options.ts";
export type { DashboardStore } from "./store_like.ts";
export type { PlainMessage, WebRequest, WebResponse } from "./web_types.ts";

/**
 * Makes a handler that serves the dashboard. It sends nothing and starts nothing before the first
 * request. While browsers look, it watches the store once for all of them. After `close` of the store
 * their streams end, so that the server can end too.
 *
 * Without `authorize`, each request may read: keys, reasons and names of instances. Serve it where only
 * your team can reach it, or pass `authorize`.
 *
 * @param store A store of this package. The dashboard only reads, and acts where it is asked to.
 * @param options See {@linkcode DashboardOptions}.
 * @returns The handler. It answers every request and never rejects.
 * @throws {TypeError} If the store lacks a method, or an option is misspelt, of a wrong type, or missing.
 * @throws {RangeError} If `basePath` or `title` cannot be used.
 *
 * @example Letting operators act, named in the log
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { InMemoryCircuitBreakerStore } from "@circuit-breaker/postgres";
 * import { dashboard } from "@circuit-breaker/postgres/dashboard";
 *
 * const store = new InMemoryCircuitBreakerStore();
 * const handler = dashboard(store, {
 *   readOnly: false,
 *   // A proxy that signs people in names them in this header, and lets no client set it.
 *   authorize: (request) => {
 *     const user = request.headers.get("x-forwarded-user");
 *     return user === null ? false : { actor: user };
 *   },
 * });
 * const stranger = await handler(new Request("http://localhost/"));
 * assertEquals(stranger.status, 403);
 * ```
 */
export function dashboard(
  store: DashboardStore,
  options: DashboardOptions = {},
): (request: WebRequest) => Promise<WebResponse> {
  assertStore(store);
  const routes = new DashboardRoutes(store, resolveDashboardOptions(options));
  return (request) => routes.answer(request);
}
