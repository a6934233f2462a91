/**
 * A gateway uses its table beside functions and operators of an attacker's, which take the place of
 * built-in ones wherever the types of a statement of ours allow it. Each statement is attacked by what it
 * calls itself, so that a later one is covered as well.
 */

import { assert, assertEquals } from "@std/assert";
import { migrate } from "../../../mod.ts";
import { conformanceSteps } from "../../conformance/deno_steps.ts";
import type { ConformanceBackend } from "../../conformance/session.ts";
import { sqlBackend } from "../../conformance/sql_backend.ts";
import { openNodePostgres } from "../../support/clients.ts";
import { createArena } from "./arena.ts";
import { Attacker } from "./attacker.ts";
import { tour } from "./tour.ts";

Deno.test("a gateway conforms beside functions and operators of a neighbour's", async (t) => {
  await using arena = await createArena();
  await using attacker = new Attacker(arena);
  await using driver = await openNodePostgres(arena.gateway.url);
  const client = attacker.ambush(driver.client);
  const prepare = (table: string) => migrate(driver.client, table);
  await conformanceSteps(t, patient(sqlBackend("ambush", client, prepare, driver.client)));
  await prepare("toured");
  await tour(client, "toured", { timeoutMs: PATIENCE_MS });
  assert(attacker.texts.size > 50, "the statements were seen");
  assertEquals(attacker.findings(), []);
});

/** The attacker works before each new statement is sent, and that takes a while. */
const PATIENCE_MS = 60_000;

/** The backend, with stores that wait for the attacker. */
function patient(backend: ConformanceBackend): ConformanceBackend {
  return {
    ...backend,
    async open(options) {
      const session = await backend.open({ timeoutMs: PATIENCE_MS, ...options });
      const { another, row } = session.shared!;
      return {
        ...session,
        shared: { row, another: (own) => another({ timeoutMs: PATIENCE_MS, ...own }) },
      };
    },
  };
}
