import type { ConformanceBackend } from "./session.ts";
import { conformance } from "./suite.ts";

/**
 * Runs the suite as the steps of one Deno test, so that the steps share a driver. The test as a whole
 * checks for leaks; a step cannot, because drivers open and keep connections when they need them.
 *
 * @param except Cases that do not hold for the backend by design.
 */
export async function conformanceSteps(
  t: Deno.TestContext,
  backend: ConformanceBackend,
  except: readonly string[] = [],
): Promise<void> {
  const cases: { name: string; fn: () => void | Promise<void> }[] = [];
  conformance({ test: (name, fn) => void cases.push({ name, fn }) }, backend);
  const unknown = except.filter((name) => cases.every((each) => each.name !== name));
  if (unknown.length > 0) throw new Error(`Cannot except ${unknown.join(", ")}: no such case`);
  for (const each of cases) {
    if (except.includes(each.name)) continue;
    await t.step({ ...each, sanitizeOps: false, sanitizeResources: false });
  }
}
