import { assertEquals } from "@std/assert";
import { circuitErrorResponse, CircuitOpenError } from "../mod.ts";

Deno.test("Retry-After is a whole number that every client can read, whatever the error says", () => {
  const expected: [retryAfterMs: number, header: string][] = [
    [1, "1"],
    [1001, "2"],
    [0, "1"],
    [-5000, "1"],
    [NaN, "1"],
    [1e12, "1000000000"],
    [1e25, "2147483647"],
    [Infinity, "2147483647"],
  ];
  for (const [retryAfterMs, header] of expected) {
    const response = circuitErrorResponse(new CircuitOpenError({ key: "api", retryAfterMs }));
    assertEquals((response as Response).headers.get("retry-after"), header);
  }
});

Deno.test("problem details hold any key as JSON", async () => {
  for (const key of ['"}\r\n\u0000', "\ud800", "</script>", "", "a".repeat(10_000)]) {
    const error = new CircuitOpenError({ key, retryAfterMs: 1 });
    const response = circuitErrorResponse(error, { exposeKey: true }) as Response;
    assertEquals((await response.json()).key, key);
  }
});
