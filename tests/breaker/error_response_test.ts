import { assertEquals } from "@std/assert";
import { CallTimeoutError, circuitErrorResponse, CircuitOpenError } from "../../mod.ts";

async function answered(...given: Parameters<typeof circuitErrorResponse>) {
  const response = circuitErrorResponse(...given) as Response;
  return [response.status, response.headers.get("retry-after"), await response.json()];
}

Deno.test("circuitErrorResponse() answers a refusal with 503, and shows its key only when asked to", async () => {
  const error = new CircuitOpenError({ key: "https://payments.internal", retryAfterMs: 1500 });
  const [status, retryAfter, body] = await answered(error);
  assertEquals([status, retryAfter, JSON.stringify(body).includes("internal")], [503, "2", false]);
  const [, , shown] = await answered(error, { exposeKey: true });
  assertEquals(JSON.stringify(shown).includes("https://payments.internal"), true);
});

Deno.test("circuitErrorResponse() answers a call that took too long with 504", async () => {
  const [status, retryAfter, body] = await answered(new CallTimeoutError(500));
  assertEquals([status, retryAfter, body.status], [504, null, 504]);
});

Deno.test("circuitErrorResponse() leaves every other error to its server", () => {
  const others = [new Error("x"), undefined, null, "CircuitOpenError", {
    name: "CircuitOpenError",
  }];
  for (const other of others) assertEquals(circuitErrorResponse(other), undefined);
});
