/**
 * One gateway process of the demo: the real Stoma gateway with its unmodified circuit breaker.
 *
 * It reads its settings from the first line of its standard input, so that no password shows among
 * the machine's processes, and ends with that input, so that it never outlives the demo.
 *
 * @module
 */

import postgres from "postgres";
import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { loadStoma } from "../../tests/support/stoma.ts";
import { lines } from "./lines.ts";
import {
  type BreakerSettings,
  GATEWAY_HEADER,
  type GatewayMessage,
  type GatewaySettings,
} from "./messages.ts";

function send(message: GatewayMessage): void {
  console.log(JSON.stringify(message));
}

/** What the gateway shares with the others; without a database, its policy keeps to itself. */
function openStore(settings: GatewaySettings) {
  if (settings.database === undefined) return undefined;
  const sql = postgres(settings.database.url, { max: 4, onnotice: () => {} });
  const client = fromPostgresJs(sql);
  const { table } = settings.database;
  const options = { ...settings.breaker, instanceId: settings.name };
  const store = new PostgresCircuitBreakerStore(client, table, options);
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await sql.end({ timeout: 1 });
    },
  };
}

/** How many failures make the policy open a circuit. With a quorum the store alone opens circuits. */
function policyThreshold({ failureThreshold, quorum }: BreakerSettings): number {
  return quorum === undefined ? failureThreshold : Infinity;
}

async function serve(settings: GatewaySettings, over: () => Promise<void>): Promise<void> {
  const { circuitBreaker, createGateway } = await loadStoma(settings.stomaPath);
  await using opened = openStore(settings);
  const { app } = createGateway({
    name: settings.name,
    debugHeaders: true,
    routes: [{
      path: "/*",
      pipeline: {
        policies: [circuitBreaker({
          ...settings.breaker,
          failureThreshold: policyThreshold(settings.breaker),
          key: () => settings.circuit,
          store: opened?.store,
          onStateChange: (_key, from, to) => send({ type: "change", from, to }),
        })],
        upstream: {
          type: "url",
          target: settings.upstreamUrl,
          headers: { [GATEWAY_HEADER]: settings.name },
        },
      },
    }],
  });
  await using _server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => send({ type: "ready", port }),
  }, (request) => app.fetch(request));
  await over();
}

if (import.meta.main) {
  // Ctrl-C reaches every process of the terminal; the demo decides when its gateways end.
  Deno.addSignalListener("SIGINT", () => {});
  const input = lines(Deno.stdin.readable);
  const { value: settings, done } = await input.next();
  if (!done) {
    await serve(JSON.parse(settings), async () => {
      while (!(await input.next()).done);
    });
  }
  Deno.exit();
}
