import { assert, assertEquals, assertFalse } from "@std/assert";
import * as library from "../mod.ts";
import type {
  CircuitBreakerSnapshot,
  CircuitBreakerStore,
  CircuitListing,
  CircuitState,
  ListOptions,
  PostgresCircuitBreakerStoreOptions,
  PostgresClient,
} from "../mod.ts";

Deno.test("mod.ts exports the public names and no others", () => {
  assertEquals(Object.keys(library).toSorted(), [
    "CallTimeoutError",
    "CircuitBreaker",
    "CircuitBreakerStoreError",
    "CircuitOpenError",
    "InMemoryCircuitBreakerStore",
    "PlainEventTarget",
    "PostgresCircuitBreakerStore",
    "SchemaError",
    "StoreOverloadError",
    "StoreTimeoutError",
    "StoreUnavailableError",
    "circuitErrorResponse",
    "defaultClassify",
    "isCallTimeoutError",
    "isCircuitBreakerStoreError",
    "isCircuitOpenError",
    "isSchemaError",
    "isStoreOverloadError",
    "isStoreTimeoutError",
    "isStoreUnavailableError",
    "migrate",
    "schemaSql",
  ]);
});

Deno.test("every entry point of deno.json exports what it is for, and no more", async () => {
  const text = await Deno.readTextFile(new URL("../deno.json", import.meta.url));
  const entries: Record<string, string> = JSON.parse(text).exports;
  const names: Record<string, string[]> = {};
  for (const [entry, path] of Object.entries(entries)) {
    if (entry === ".") continue;
    names[entry] = Object.keys(await import(new URL(`../${path}`, import.meta.url).href));
  }
  assertEquals(entries["."], "./mod.ts");
  assertEquals(names, {
    "./bun-sql": ["fromBunSql"],
    "./cli": ["main", "runCli"],
    "./dashboard": ["dashboard"],
    "./deno-postgres": ["fromDenoPostgres"],
    "./express": ["circuitBreaker", "circuitErrorHandler"],
    "./hono": ["circuitBreaker", "circuitErrorResponse", "guard"],
    "./neon": ["fromNeon"],
    "./node-postgres": ["fromNodePostgres"],
    "./opentelemetry": ["instrument"],
    "./pglite": ["fromPglite"],
    "./postgres-js": ["fromPostgresJs"],
    "./prometheus": ["collect"],
  });
});

Deno.test("both stores fit the interface, and the types fit each other", () => {
  const stores = (client: PostgresClient, options: PostgresCircuitBreakerStoreOptions) => {
    const both: (CircuitBreakerStore & AsyncDisposable)[] = [
      new library.PostgresCircuitBreakerStore(client, "circuits", options),
      new library.InMemoryCircuitBreakerStore(
        options.now === undefined ? {} : { now: options.now },
      ),
    ];
    return both;
  };
  assertEquals(typeof stores, "function");
  const states: Record<CircuitState, true> = { closed: true, open: true, "half-open": true };
  const query: ListOptions = { state: "open", after: "a", limit: 1 };
  const listing: CircuitListing = {
    key: "api",
    storedKey: "api",
    state: "closed",
    failureCount: 0,
    successCount: 0,
    lastFailureTime: 0,
    lastStateChange: 0,
    version: 0,
    openedAt: 0,
    votes: [],
    refusedCount: 0,
    cause: "",
    actor: "",
  };
  const snapshot: CircuitBreakerSnapshot = listing;
  assertEquals([Object.keys(states).length, query.limit, snapshot.state], [3, 1, "closed"]);
  // @ts-expect-error a state that there is not
  const wrong: CircuitState = "half_open";
  assertEquals(wrong as string, "half_open");
});

Deno.test("errors are instances, named, and carry what they were given", () => {
  const cause = new Error("gone");
  const error = new library.SchemaError("Cannot read circuit: gone", { cause, sqlState: "42P01" });
  assert(error instanceof library.CircuitBreakerStoreError);
  assert(error instanceof Error);
  assertEquals([error.name, error.message], ["SchemaError", "Cannot read circuit: gone"]);
  assertEquals([error.cause, error.sqlState], [cause, "42P01"]);
  const plain = new library.CircuitBreakerStoreError("Cannot read circuit: gone");
  assertEquals([plain.name, plain.sqlState], ["CircuitBreakerStoreError", undefined]);
  assertFalse("cause" in plain);
});

Deno.test("type guards recognise errors of a second copy of the package", async () => {
  const path = "../src/errors.ts";
  const copy: typeof library = await import(`${path}?copy`);
  const schema = new copy.SchemaError("Cannot read circuit: gone");
  const plain = new copy.CircuitBreakerStoreError("Cannot read circuit: gone");
  assertFalse(schema instanceof library.SchemaError);
  assertEquals([library.isSchemaError(schema), library.isSchemaError(plain)], [true, false]);
  assert(library.isCircuitBreakerStoreError(schema));
  assert(library.isCircuitBreakerStoreError(plain));
});

Deno.test("type guards refuse everything else", () => {
  const others: unknown[] = [
    undefined,
    null,
    "SchemaError",
    {},
    { name: "SchemaError" },
    new Error("SchemaError"),
    () => {},
  ];
  for (const other of others) {
    assertFalse(library.isSchemaError(other));
    assertFalse(library.isCircuitBreakerStoreError(other));
  }
});
