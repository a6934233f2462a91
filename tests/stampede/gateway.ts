/**
 * The real Stoma gateway with its unmodified policy, or one that asks the store for permits, in a process of
 * its own. Its first line of input is its settings, each further one a wave of requests to send. It ends
 * with its input, so that it never outlives its test.
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { lines } from "../../scripts/demo/lines.ts";
import { openPostgresJs } from "../support/clients.ts";
import { loadStoma, type StomaGateway } from "../support/stoma.ts";
import {
  type Answer,
  GATEWAY_HEADER,
  type GatewayMessage,
  type GatewaySettings,
  type Wave,
} from "./messages.ts";

function send(message: GatewayMessage): void {
  console.log(JSON.stringify(message));
}

async function request({ app }: StomaGateway): Promise<Answer> {
  const response = await app.request("/orders", {
    headers: { "x-stoma-debug": "x-stoma-circuit-state" },
  });
  await response.body?.cancel();
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    state: response.headers.get("x-stoma-circuit-state"),
  };
}

/** A request that a permit guards. */
async function requestByPermit(
  store: PostgresCircuitBreakerStore,
  { circuit, name, upstreamUrl }: GatewaySettings,
): Promise<Answer> {
  const permit = await store.acquire(circuit);
  if (!permit.allowed) {
    const retryAfter = `${Math.ceil(permit.retryAfterMs / 1000)}`;
    return { status: 503, retryAfter, state: "open" };
  }
  const response = await fetch(upstreamUrl, { headers: { [GATEWAY_HEADER]: name } });
  await response.body?.cancel();
  const { status } = response;
  await permit.report(status < 500 ? "success" : "failure");
  return { status, retryAfter: null, state: permit.state };
}

async function serve(settings: GatewaySettings, waves: AsyncIterable<string>): Promise<void> {
  const { circuitBreaker, createGateway } = await loadStoma(settings.stomaPath);
  await using driver = await openPostgresJs(settings.databaseUrl, { max: 4 });
  const breaker = { ...settings.breaker, key: () => settings.circuit };
  const options = settings.isShared ? { ...breaker, instanceId: settings.name } : {};
  await using store = new PostgresCircuitBreakerStore(driver.client, undefined, options);
  const gateway = createGateway({
    debugHeaders: true,
    routes: [{
      path: "/*",
      pipeline: {
        policies: [circuitBreaker({ ...breaker, store })],
        upstream: {
          type: "url",
          target: settings.upstreamUrl,
          headers: { [GATEWAY_HEADER]: settings.name },
        },
      },
    }],
  });
  await store.peek(settings.circuit); // is connected before the first wave
  send({ type: "ready" });
  for await (const line of waves) {
    const { requests }: Wave = JSON.parse(line);
    for (let sent = 0; sent < requests; sent++) {
      const answered = settings.breaker.usesPermits
        ? requestByPermit(store, settings)
        : request(gateway);
      answered.then((answer) => send({ type: "answer", answer }));
    }
  }
}

if (import.meta.main) {
  const input = lines(Deno.stdin.readable);
  const { value, done } = await input.next();
  if (!done) {
    const settings: GatewaySettings = JSON.parse(value);
    const machineNow = Date.now;
    Date.now = () => machineNow() + settings.skew;
    await serve(settings, input);
  }
  Deno.exit();
}
