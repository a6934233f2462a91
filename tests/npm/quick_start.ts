/**
 * Uses what a quick start of the README exports: a server's `fetch`, or a policy. Arguments: the
 * quick start and the gateway's package. `PAYMENTS_URL` is set here, `DATABASE_URL` by the caller.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { Stoma, StomaPolicy } from "../support/stoma.ts";
import { type Case, collector, runCases } from "./cases.ts";
import { startUpstream } from "./upstream.ts";

interface QuickStart {
  readonly default?: { fetch(request: Request): Response | Promise<Response> };
  readonly policy?: StomaPolicy;
}

const FAILURE_THRESHOLD = 5;

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
  const statuses: number[] = [];
  for (const status of [200, 500, 500, 500, 500, 500, 200]) {
    upstream.status = status;
    const response = await server.fetch(new Request("http://127.0.0.1/payments/1"));
    await response.body?.cancel();
    statuses.push(response.status);
  }
  assertEquals(statuses, [200, 500, 500, 500, 500, 500, 503]);
  assertEquals(upstream.received, 1 + FAILURE_THRESHOLD);
});
await runCases(cases);
// A quick start keeps its database open, as a server does.
process.exit();
