import { assertEquals, assertMatch } from "@std/assert";
import { serve } from "@hono/node-server";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { dashboard } from "../../src/dashboard/dashboard.ts";
import { PAGE_HEADERS } from "./requests.ts";

Deno.test("Node serves the dashboard through @hono/node-server", async () => {
  const store = new InMemoryCircuitBreakerStore();
  const handler = dashboard(store, { readOnly: false, authorize: () => ({ actor: "ada" }) });
  const listening = Promise.withResolvers<number>();
  const server = serve(
    { fetch: handler, hostname: "127.0.0.1", port: 0 },
    ({ port }) => listening.resolve(port),
  );
  const base = `http://127.0.0.1:${await listening.promise}`;
  assertMatch(await (await fetch(base)).text(), /^<!doctype html>/);
  const reader = (await fetch(`${base}/api/events`)).body!.pipeThrough(new TextDecoderStream())
    .getReader();
  let heard = "";
  while (!heard.includes("event: hello")) heard += (await reader.read()).value;
  const { host: _host, ...headers } = PAGE_HEADERS;
  const body = JSON.stringify({ action: "open", storedKey: "api", reason: "maintenance" });
  const act = (origin: string) =>
    fetch(`${base}/api/act`, { method: "POST", headers: { ...headers, origin }, body });
  const statuses: number[] = [];
  for (const origin of [base, "http://evil.example"]) {
    const response = await act(origin);
    statuses.push(response.status);
    await response.body?.cancel();
  }
  assertEquals(statuses, [200, 403]);
  while (!heard.includes('"storedKey":"api"')) heard += (await reader.read()).value;
  // The stream ends with the store, and so does the server.
  await store.close();
  while (!(await reader.read()).done);
  await new Promise((resolve) => server.close(resolve));
});
