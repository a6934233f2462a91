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
    // The fetch of Node, then of Deno, alone and inside the errors of Neon's driver.
    new TypeError("terminated", { cause: errorWith({ code: "UND_ERR_SOCKET" }) }),
    new TypeError("fetch failed", { cause: errorWith({ code: "ECONNRESET" }) }),
    new TypeError("error reading a body from connection"),
    errorWith({
      name: "NeonDbError",
      sourceError: new TypeError("fetch failed", {
        cause: new Error(
          "error sending request from 127.0.0.1:43632 for http://127.0.0.1:37963/sql " +
            "(127.0.0.1:37963): client error (SendRequest): connection closed before message completed",
        ),
      }),
    }),
    errorWith({
      sourceError: new TypeError("fetch failed", {
        cause: new Error("Connection reset by peer (os error 104)"),
      }),
    }),
  ];
  for (const error of lost) assert(isConnectionLost(error), JSON.stringify(error));
});

Deno.test("isConnectionLost takes no other error for one", () => {
  const circle = errorWith({});
  Object.assign(circle, { cause: circle, sourceError: circle });
  const others: unknown[] = [
    errorWith({ code: "ECONNREFUSED" }),
    errorWith({ code: "CONNECT_TIMEOUT" }),
    errorWith({ code: "57014" }),
    // The server answered, whatever else the error says.
    errorWith({ code: "42P01", name: "ConnectionReset" }),
    new Error("Query read timeout"),
    new TypeError("fetch failed", { cause: errorWith({ code: "ECONNREFUSED" }) }),
    circle,
    undefined,
    null,
    "ECONNRESET",
  ];
  for (const error of others) assert(!isConnectionLost(error), String(error));
});
