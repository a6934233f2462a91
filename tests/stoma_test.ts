import { assert, assertEquals } from "@std/assert";
import { migrate, PostgresCircuitBreakerStore } from "../mod.ts";
import { fromPostgresJs } from "../src/adapters/postgres_js.ts";
import { connect, createDatabase } from "./support/database.ts";
import { loadStoma, type StomaGateway } from "./support/stoma.ts";

const BREAKER = { failureThreshold: 3, resetTimeoutMs: 30_000, halfOpenMax: 1 };
const CIRCUIT = "orders";
const DEBUG_HEADERS = "x-stoma-circuit-key, x-stoma-circuit-state, x-stoma-circuit-failures";

const stoma = await loadStoma();

/** A real upstream that fails on demand, and everything two gateways need to share its circuit. */
async function openStage() {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const admin = cleanup.use(connect(database.url));
  await migrate(fromPostgresJs(admin));

  const upstream = { status: 200, received: 0 };
  const server = cleanup.use(
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
      upstream.received++;
      return Response.json({ orders: [] }, { status: upstream.status });
    }),
  );
  const target = `http://127.0.0.1:${server.addr.port}`;
  const stores = cleanup.use(new AsyncDisposableStack());
  const openGateway = () => {
    const sql = stores.use(connect(database.url, { max: 2 }));
    const store = stores.use(new PostgresCircuitBreakerStore(fromPostgresJs(sql)));
    return createGateway(store, target);
  };
  const kept = cleanup.move();
  return {
    upstream,
    first: openGateway(),
    second: openGateway(),
    /** Lets the reset timeout pass for the database: nothing waits. */
    async age(ms: number) {
      await admin`
        update stoma_circuit_breakers set last_state_change = last_state_change - ${ms}
      `;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function createGateway(store: PostgresCircuitBreakerStore, target: string): StomaGateway {
  return stoma.createGateway({
    debugHeaders: true,
    routes: [{
      path: "/*",
      pipeline: {
        policies: [stoma.circuitBreaker({ ...BREAKER, key: () => CIRCUIT, store })],
        upstream: { type: "url", target },
      },
    }],
  });
}

/** One request through a gateway, with what its policy knew of the circuit beforehand. */
async function request({ app }: StomaGateway) {
  const response = await app.request("/orders", { headers: { "x-stoma-debug": DEBUG_HEADERS } });
  await response.body?.cancel();
  return {
    status: response.status,
    key: response.headers.get("x-stoma-circuit-key"),
    state: response.headers.get("x-stoma-circuit-state"),
    failures: response.headers.get("x-stoma-circuit-failures"),
    retryAfter: response.headers.get("retry-after"),
  };
}

function answer(status: number, state: string, failures: number) {
  return { status, key: CIRCUIT, state, failures: String(failures), retryAfter: null };
}

async function assertRefused(gateway: StomaGateway, failures: number): Promise<void> {
  const { retryAfter, ...rest } = await request(gateway);
  assertEquals({ ...rest, retryAfter: null }, answer(503, "open", failures));
  const seconds = Number(retryAfter);
  assert(seconds >= 1 && seconds <= BREAKER.resetTimeoutMs / 1000, `Retry-After ${retryAfter}`);
}

async function trip(gateway: StomaGateway): Promise<void> {
  for (let failures = 0; failures < BREAKER.failureThreshold; failures++) {
    assertEquals(await request(gateway), answer(500, "closed", failures));
  }
}

Deno.test("Stoma's policy opens the circuit on every gateway after failures on one", async () => {
  await using stage = await openStage();
  const { upstream, first, second } = stage;
  assertEquals(await request(first), answer(200, "closed", 0));
  assertEquals(await request(second), answer(200, "closed", 0));

  upstream.status = 500;
  await trip(first);
  assertEquals(upstream.received, 2 + BREAKER.failureThreshold);

  await assertRefused(first, 3);
  await assertRefused(second, 3);
  assertEquals(upstream.received, 2 + BREAKER.failureThreshold);
});

Deno.test("Stoma's policy counts failures of several gateways on one circuit", async () => {
  await using stage = await openStage();
  const { upstream, first, second } = stage;
  upstream.status = 500;
  assertEquals(await request(first), answer(500, "closed", 0));
  assertEquals(await request(second), answer(500, "closed", 1));
  assertEquals(await request(first), answer(500, "closed", 2));
  await assertRefused(second, 3);
});

Deno.test("Stoma's policy closes the circuit on every gateway after one probe succeeded", async () => {
  await using stage = await openStage();
  const { upstream, first, second } = stage;
  upstream.status = 500;
  await trip(first);

  upstream.status = 200;
  await assertRefused(second, 3);
  await stage.age(BREAKER.resetTimeoutMs);
  assertEquals(await request(second), answer(200, "open", 3));
  assertEquals(upstream.received, BREAKER.failureThreshold + 1);

  assertEquals(await request(first), answer(200, "closed", 0));
  assertEquals(await request(second), answer(200, "closed", 0));
});

Deno.test("Stoma's policy reopens the circuit on every gateway after one probe failed", async () => {
  await using stage = await openStage();
  const { upstream, first, second } = stage;
  upstream.status = 500;
  await trip(first);

  await stage.age(BREAKER.resetTimeoutMs);
  assertEquals(await request(second), answer(500, "open", 3));
  await assertRefused(first, 4);
  await assertRefused(second, 4);
  assertEquals(upstream.received, BREAKER.failureThreshold + 1);
});
