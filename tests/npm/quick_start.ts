/**
 * Uses what a quick start of the README exports: a server's `fetch`, or a policy. Arguments: the
 * quick start and the gateway's package. `PAYMENTS_URL` is set here, `DATABASE_URL` by the caller.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { Stoma, StomaPolicy } from "../support/stoma.ts";
import { type Case, collector, runCases } from "./cases.ts";
import { startUpstream } from "./upstream.ts";

interface QuickStart {
  readonly default?: { fetch(request: Request): Response | Promise<Response> };
  readonly policy?: StomaPolicy;
}

/** What the upstream gets until the circuit opens: 5 failures after a success, or 20 calls. */
const RECEIVED = [1 + 5, 20];

const [file = "", gateway = ""] = process.argv.slice(2);
const upstream = await startUpstream();
process.env.PAYMENTS_URL = upstream.url;
const quickStart: QuickStart = await import(pathToFileURL(file).href);

async function serverOf({ default: server, policy }: QuickStart) {
  if (server) return server;
  const { createGateway }: Stoma = await import(gateway);
  return createGateway({
    routes: [{
      path: "/payments/*",
      pipeline: { policies: [policy!], upstream: { type: "url", target: upstream.url } },
    }],
  }).app;
}

const cases: Case[] = [];
collector(cases).test("refuses requests once the upstream has failed often enough", async () => {
  const server = await serverOf(quickStart);
  const ask = async (status: number) => {
    upstream.status = status;
    const response = await server.fetch(new Request("http://127.0.0.1/payments/1"));
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await ask(200), 200);
  const statuses: number[] = [];
  while (statuses.at(-1) !== 503 && statuses.length < 50) statuses.push(await ask(500));
  const received = statuses.length;
  assert(RECEIVED.includes(received), `${received} calls`);
  assertEquals(statuses.slice(0, -1), Array.from({ length: received - 1 }, () => 500));
  assertEquals([await ask(200), upstream.received], [503, received]);
});
await runCases(cases);
// A quick start keeps its database open, as a server does.
process.exit();
