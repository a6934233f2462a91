import { assert } from "@std/assert";
import { StoreUnavailableError } from "../../src/errors.ts";
import { isDriverTimeout } from "../../src/postgres/driver_timeout.ts";

const TIMEOUTS: readonly Error[] = [
  new Error("Query read timeout"),
  new Error("timeout exceeded when trying to connect"),
  new Error("Connection terminated due to connection timeout"),
  new Error("timeout expired"),
  Object.assign(new Error("write CONNECT_TIMEOUT localhost:5432"), { code: "CONNECT_TIMEOUT" }),
];

Deno.test("isDriverTimeout recognises the limits of the drivers, alone and as a cause", () => {
  for (const cause of TIMEOUTS) {
    assert(isDriverTimeout(cause), cause.message);
    assert(isDriverTimeout(new StoreUnavailableError("Cannot read circuit", { cause })));
  }
});

Deno.test("isDriverTimeout takes no other error for one", () => {
  const others = [
    new Error("Connection terminated unexpectedly"),
    Object.assign(new Error("canceling statement due to statement timeout"), { code: "57014" }),
    Object.assign(new Error("connect ETIMEDOUT"), { code: "ETIMEDOUT" }),
    undefined,
    null,
    "Query read timeout",
  ];
  for (const other of others) assert(!isDriverTimeout(other), String(other));
});
