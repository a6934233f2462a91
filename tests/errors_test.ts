import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  CircuitBreakerStoreError,
  isCircuitBreakerStoreError,
  isOutage,
  isSchemaError,
  isStoreOverloadError,
  isStoreTimeoutError,
  isStoreUnavailableError,
  isUnavailable,
  SchemaError,
  StoreOverloadError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../src/errors.ts";

const ERRORS = {
  base: new CircuitBreakerStoreError("Cannot read circuit: gone"),
  schema: new SchemaError("Cannot read circuit: gone"),
  timeout: new StoreTimeoutError("Cannot read circuit: gone"),
  unavailable: new StoreUnavailableError("Cannot read circuit: gone"),
  overload: new StoreOverloadError("Cannot read circuit: gone"),
  other: new Error("gone"),
};

/** The errors that a guard recognises. */
function recognised(guard: (value: unknown) => boolean): string[] {
  return Object.entries(ERRORS).filter(([, error]) => guard(error)).map(([name]) => name);
}

Deno.test("each guard recognises its class and no other", () => {
  assertEquals(recognised(isSchemaError), ["schema"]);
  assertEquals(recognised(isStoreTimeoutError), ["timeout"]);
  assertEquals(recognised(isStoreUnavailableError), ["unavailable"]);
  assertEquals(recognised(isStoreOverloadError), ["overload"]);
  const all = ["base", "schema", "timeout", "unavailable", "overload"];
  assertEquals(recognised(isCircuitBreakerStoreError), all);
});

Deno.test("an overload is no outage, and the call is unavailable all the same", () => {
  assertEquals(recognised(isOutage), ["timeout", "unavailable"]);
  assertEquals(recognised(isUnavailable), ["timeout", "unavailable", "overload"]);
});

Deno.test("StoreOverloadError has its name, its cause and its base class", () => {
  const cause = new Error("too many");
  const error = new StoreOverloadError("Cannot accept call: too many wait", { cause });
  assert(error instanceof CircuitBreakerStoreError);
  assertEquals([error.name, error.cause, error.sqlState], ["StoreOverloadError", cause, undefined]);
  assertEquals(String(error), "StoreOverloadError: Cannot accept call: too many wait");
  assertFalse("cause" in ERRORS.overload);
});

Deno.test("isStoreOverloadError recognises an error of a second copy of the package", async () => {
  const path = "../src/errors.ts";
  const copy: typeof import("../src/errors.ts") = await import(`${path}?overload`);
  const error = new copy.StoreOverloadError("Cannot accept call: too many wait");
  assertFalse(error instanceof StoreOverloadError);
  assert(isStoreOverloadError(error) && isUnavailable(error) && !isOutage(error));
});
