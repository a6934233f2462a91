import { adapterContract, type AdapterUnderTest } from "./contract.ts";

/**
 * Runs the contract as the steps of one Deno test, so that the steps share a database. The test as a
 * whole checks for leaks; a step cannot where the steps share a driver as well.
 */
export async function contractSteps(
  t: Deno.TestContext,
  adapter: AdapterUnderTest,
  shared = false,
): Promise<void> {
  const cases: { name: string; fn: () => void | Promise<void> }[] = [];
  adapterContract({ test: (name, fn) => void cases.push({ name, fn }) }, adapter);
  for (const each of cases) {
    await t.step({ ...each, sanitizeOps: !shared, sanitizeResources: !shared });
  }
}
