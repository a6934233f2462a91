import { assert } from "@std/assert";
import { isConnectionLost } from "../../src/postgres/lost_connection.ts";

function errorWith(properties: Record<string, unknown>): Error {
  return Object.assign(new Error("broken"), properties);
}

Deno.test("isConnectionLost recognises what each driver and the server say of a lost connection", () => {
  const lost: unknown[] = [
    errorWith({ code: "57P01" }),
    errorWith({ fields: { code: "57P02" } }),
    errorWith({ code: "ERR_POSTGRES_SERVER_ERROR", errno: "08006" }),
    errorWith({ code: "ECONNRESET" }),
    errorWith({ code: "EPIPE" }),
    errorWith({ code: "CONNECTION_CLOSED" }),
    errorWith({ code: "ERR_POSTGRES_CONNECTION_CLOSED" }),
    errorWith({ name: "ConnectionReset" }),
    errorWith({ name: "UnexpectedEof" }),
    new Error("Connection terminated unexpectedly"),
  ];
  for (const error of lost) assert(isConnectionLost(error), JSON.stringify(error));
});

Deno.test("isConnectionLost takes no other error for one", () => {
  const others: unknown[] = [
    errorWith({ code: "ECONNREFUSED" }),
    errorWith({ code: "CONNECT_TIMEOUT" }),
    errorWith({ code: "57014" }),
    // The server answered, whatever else the error says.
    errorWith({ code: "42P01", name: "ConnectionReset" }),
    new Error("Query read timeout"),
    undefined,
    null,
    "ECONNRESET",
  ];
  for (const error of others) assert(!isConnectionLost(error), String(error));
});
