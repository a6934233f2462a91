/** Real gateway processes with Stoma's unmodified policy, of which one cannot connect to the upstream. */

import { assert, assertEquals } from "@std/assert";
import { Fleet } from "../stampede/fleet.ts";
import { bundleStoma } from "../support/stoma.ts";

const BROKEN = 2;
const THRESHOLD = 5;
const WAVES = 40;
const REQUESTS = 5;

for (const maxStalenessMs of [undefined, 100]) {
  const how = maxStalenessMs === undefined ? "" : ", answering from memory";
  Deno.test(`a gateway of five that cannot connect refuses for itself alone${how}`, async () => {
    await using bundle = await bundleStoma();
    await using fleet = await Fleet.start({
      stomaPath: bundle.gatewayPath,
      skews: [0, 0, 0, 0, 0],
      broken: BROKEN,
      breaker: {
        quorum: 2,
        failureThreshold: THRESHOLD,
        resetTimeoutMs: 30_000,
        halfOpenMax: 1,
        probeTimeoutMs: 30_000,
        ...maxStalenessMs !== undefined && { maxStalenessMs },
      },
    });
    for (let wave = 0; wave < WAVES; wave++) await fleet.stampede(fleet.gateways, REQUESTS);
    const broken = fleet.gateways[BROKEN]!;
    for (const { name, answers } of fleet.gateways.filter((gateway) => gateway !== broken)) {
      assertEquals(answers.length, WAVES * REQUESTS);
      assertEquals(answers.filter(({ status }) => status !== 200), [], name);
    }
    // The requests that had been let through when it opened are the only ones that failed.
    const refused = broken.answers.filter(({ status }) => status === 503);
    const failed = broken.answers.length - refused.length;
    assert(failed >= THRESHOLD && failed < THRESHOLD + REQUESTS, `${failed} failed`);
    assertEquals(broken.answers.length, WAVES * REQUESTS);
    for (const { state, retryAfter } of refused) {
      assertEquals(state, "open");
      assert(Number(retryAfter) > 0 && Number(retryAfter) <= 30, `Retry-After ${retryAfter}`);
    }
    const [listed] = await fleet.list();
    assertEquals([listed!.state, listed!.votes], ["closed", [broken.name]]);
  });
}
