import type { ConformanceBackend } from "./session.ts";
import { conformance } from "./suite.ts";

/**
 * Runs the suite as the steps of one Deno test, so that the steps share a driver. The test as a whole
 * checks for leaks; a step cannot, because drivers open and keep connections when they need them.
 */
export async function conformanceSteps(
  t: Deno.TestContext,
  backend: ConformanceBackend,
): Promise<void> {
  const cases: { name: string; fn: () => void | Promise<void> }[] = [];
  conformance({ test: (name, fn) => void cases.push({ name, fn }) }, backend);
  for (const each of cases) {
    await t.step({ ...each, sanitizeOps: false, sanitizeResources: false });
  }
}
