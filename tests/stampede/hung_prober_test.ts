/** A gateway whose probes hang for good, among others whose probes would succeed. */

import { assert, assertEquals } from "@std/assert";
import { bundleStoma } from "../support/stoma.ts";
import { Fleet } from "./fleet.ts";

const LEASE = 1500;
const MINUTE = 60_000;
const MARGIN = 1000;

Deno.test("a gateway whose probe hangs, and that polls 20 times as often, delays the fleet by one lease", async () => {
  await using bundle = await bundleStoma();
  await using fleet = await Fleet.start({
    stomaPath: bundle.gatewayPath,
    skews: [MINUTE, 0, -MINUTE, 0, 0],
    breaker: {
      failureThreshold: 5,
      resetTimeoutMs: 30_000,
      halfOpenMax: 1,
      probeTimeoutMs: LEASE,
    },
  });
  const { upstream, gateways: [hung, ...others] } = fleet;
  for (const outage of [1, 2, 3]) {
    upstream.holdsOnly = undefined;
    await fleet.trip(others[0]!);
    upstream.holdsOnly = hung!.name;
    upstream.status = 200;
    await fleet.expire();
    const dueAt = (await fleet.row()).lastStateChange + fleet.breaker.resetTimeoutMs;
    while ((await fleet.row()).state !== "closed") {
      await fleet.stampede([hung!], 20);
      await fleet.stampede(others, 1);
    }
    const tookMs = (await fleet.row()).lastStateChange - dueAt;
    // It owes its first probe for good: in the next outages it does not even get one.
    const mostMs = (outage === 1 ? LEASE : 0) + MARGIN;
    assert(tookMs < mostMs, `outage ${outage} took ${tookMs} ms, at most ${mostMs}`);
    if (outage === 1) assert(tookMs >= LEASE, "the hung gateway got the first probe");
    assertEquals(upstream.held.map(({ gateway }) => gateway), [hung!.name]);
    const { answers } = await fleet.stampede(others, 1);
    assertEquals(answers.map(({ status }) => status), others.map(() => 200));
  }
});
