/**
 * Stoma's gateway with the installed package. Arguments: a driver, a database and the gateway's
 * bundle. Two gateways with a store each share one circuit, in front of a real upstream.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import type { Stoma, StomaGateway } from "../support/stoma.ts";
import { type Case, collector, runCases } from "./cases.ts";
import { DRIVERS } from "./drivers.ts";
import { startUpstream } from "./upstream.ts";

const BREAKER = { failureThreshold: 3, resetTimeoutMs: 30_000, halfOpenMax: 1 };

const [name = "", url = "", bundle = ""] = process.argv.slice(2);
const stoma: Stoma = await import(pathToFileURL(bundle).href);
const driver = await DRIVERS[name]!(url);
const upstream = await startUpstream();
let tables = 0;

/** Two gateways on a table of their own, and a way to let time pass for its circuits. */
async function openGateways() {
  const table = `gateway_${++tables}`;
  await migrate(driver.client, table);
  upstream.reset();
  const open = (): StomaGateway =>
    stoma.createGateway({
      routes: [{
        path: "/*",
        pipeline: {
          policies: [
            stoma.circuitBreaker({
              ...BREAKER,
              key: () => "orders",
              store: new PostgresCircuitBreakerStore(driver.client, table),
            }),
          ],
          upstream: { type: "url", target: upstream.url },
        },
      }],
    });
  const age = () =>
    driver.client.query(
      `update ${table} set last_state_change = last_state_change - ${BREAKER.resetTimeoutMs}`,
    );
  return { first: open(), second: open(), age };
}

async function request({ app }: StomaGateway): Promise<number> {
  const response = await app.request("/orders");
  await response.body?.cancel();
  if (response.status === 503) {
    const seconds = Number(response.headers.get("retry-after"));
    assert(seconds >= 1 && seconds <= BREAKER.resetTimeoutMs / 1000, `Retry-After ${seconds}`);
  }
  return response.status;
}

const cases: Case[] = [];
const { test } = collector(cases);

test("failures on one gateway open the circuit on both", async () => {
  const { first, second } = await openGateways();
  upstream.status = 500;
  for (let i = 0; i < BREAKER.failureThreshold; i++) assertEquals(await request(first), 500);
  assertEquals([await request(first), await request(second)], [503, 503]);
  assertEquals(upstream.received, BREAKER.failureThreshold);
});

test("failures of both gateways count for one circuit", async () => {
  const { first, second } = await openGateways();
  upstream.status = 500;
  assertEquals(
    [await request(first), await request(second), await request(first), await request(second)],
    [500, 500, 500, 503],
  );
});

test("a probe that succeeds closes the circuit on both gateways", async () => {
  const { first, second, age } = await openGateways();
  upstream.status = 500;
  for (let i = 0; i < BREAKER.failureThreshold; i++) await request(first);
  upstream.status = 200;
  assertEquals(await request(second), 503);
  await age();
  assertEquals([await request(second), await request(first)], [200, 200]);
});

test("a probe that fails opens the circuit again on both gateways", async () => {
  const { first, second, age } = await openGateways();
  upstream.status = 500;
  for (let i = 0; i < BREAKER.failureThreshold; i++) await request(first);
  await age();
  assertEquals(
    [await request(second), await request(first), await request(second)],
    [500, 503, 503],
  );
  assertEquals(upstream.received, BREAKER.failureThreshold + 1);
});

await runCases(cases);
await upstream.close();
await driver.close();
