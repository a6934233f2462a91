import { assertStrictEquals } from "@std/assert";
import { fromPglite } from "../../src/adapters/pglite.ts";
import { openPglite } from "../support/clients.ts";
import { contractSteps } from "./deno_steps.ts";

Deno.test("fromPglite, and a bare PGlite, keep the contract", async (t) => {
  await using driver = await openPglite();
  for (const [name, client] of [["PGlite", driver.raw], ["fromPglite", driver.client]] as const) {
    await contractSteps(t, {
      name,
      prepares: false,
      reconnects: false,
      open: () => Promise.resolve({ client, [Symbol.asyncDispose]: () => Promise.resolve() }),
    }, true);
  }
});

Deno.test("fromPglite passes the driver's error on", async () => {
  const thrown = new Error("from the driver");
  const client = fromPglite({
    exec: () => Promise.resolve(),
    query: () => Promise.reject(thrown),
  });
  assertStrictEquals(await client.query("select 1").catch((error) => error), thrown);
});
