/**
 * What every entry point of the installed package exports, as a module and through `require`.
 * Arguments: the package's name, and what each of its entry points has to export.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { createRequire } from "node:module";
import process from "node:process";
import type * as Library from "../../mod.ts";
import { type Case, collector, runCases } from "./cases.ts";
import { describeExports } from "./exports.ts";

const [library = "", expected = "{}"] = process.argv.slice(2);
const cases: Case[] = [];
const { test } = collector(cases);
const require = createRequire(import.meta.url);

for (const [specifier, exported] of Object.entries<string[]>(JSON.parse(expected))) {
  test(`import of ${specifier}`, async () => {
    assertEquals(describeExports(await import(specifier)), exported);
  });
  test(`require of ${specifier}`, () => {
    assertEquals(describeExports(require(specifier)), exported);
  });
}

test("guards recognise the errors of the package's other copy", async () => {
  const module: typeof Library = await import(library);
  const script: typeof Library = require(library);
  for (const [one, other] of [[module, script], [script, module]] as const) {
    const error = new one.SchemaError("Cannot read circuit: the table is missing");
    assert(other.isSchemaError(error) && other.isCircuitBreakerStoreError(error));
    assert(!other.isSchemaError(new one.CircuitBreakerStoreError("Cannot read circuit")));
  }
});

await runCases(cases);
