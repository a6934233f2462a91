import { assertEquals } from "@std/assert";
import { sqlStateOf } from "../../src/postgres/sql_state.ts";

Deno.test("sqlStateOf reads where each driver puts it", () => {
  assertEquals(sqlStateOf({ code: "42P01" }), "42P01");
  assertEquals(sqlStateOf({ code: "P0001" }), "P0001");
  assertEquals(sqlStateOf({ fields: { code: "40001" } }), "40001");
  assertEquals(sqlStateOf({ code: "ERR_POSTGRES_SERVER_ERROR", errno: "23505" }), "23505");
  assertEquals(sqlStateOf(new Error("wrapped", { cause: { code: "57P01" } })), "57P01");
});

Deno.test("sqlStateOf takes no code of a socket or of Prisma for a SQLSTATE", () => {
  for (
    const code of [
      "EPIPE",
      "ECONNREFUSED",
      "EBADF",
      "CONNECTION_CLOSED",
      "P1001",
      "P2010",
      42601,
      undefined,
    ]
  ) {
    assertEquals(sqlStateOf({ code }), undefined);
  }
});

Deno.test("sqlStateOf survives anything thrown", () => {
  const circular: { cause?: unknown } = {};
  circular.cause = circular;
  for (const value of [undefined, null, "42P01", 7, circular, new Error("no")]) {
    assertEquals(sqlStateOf(value), undefined);
  }
});
