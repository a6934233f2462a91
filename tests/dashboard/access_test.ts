import { assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { dashboard, type DashboardOptions } from "../../src/dashboard/dashboard.ts";
import { act, get, problemOf } from "./requests.ts";

const OPEN = { action: "open", storedKey: "api", reason: "maintenance" };

function handlerWith(authorize: unknown, readOnly = false) {
  const store = new InMemoryCircuitBreakerStore();
  const options = { readOnly, authorize } as DashboardOptions;
  return { store, handler: dashboard(store, options) };
}

async function statuses(authorize: unknown, readOnly = false): Promise<number[]> {
  const { handler } = handlerWith(authorize, readOnly);
  const found: number[] = [];
  for (const path of ["/", "/api/circuits", "/api/circuit?key=api", "/api/changes"]) {
    const response = await get(handler, path);
    found.push(response.status);
    await response.body?.cancel();
  }
  return [...found, (await act(handler, OPEN)).status];
}

Deno.test("authorize guards reading and acting", async () => {
  assertEquals(await statuses(undefined, true), [200, 200, 200, 200, 403]);
  assertEquals(await statuses(() => true), [200, 200, 200, 200, 200]);
  assertEquals(await statuses(() => Promise.resolve({ actor: "ada" })), [200, 200, 200, 200, 200]);
  assertEquals(await statuses(() => "read"), [200, 200, 200, 200, 403]);
  assertEquals(await statuses(() => false), [403, 403, 403, 403, 403]);
  assertEquals(await statuses(() => new Response(null, { status: 401 })), Array(5).fill(401));
});

Deno.test("authorize permits no act where the dashboard is read only", async () => {
  assertEquals(await statuses(() => true, true), [200, 200, 200, 200, 403]);
  assertEquals(await statuses(() => ({ actor: "ada" }), true), [200, 200, 200, 200, 403]);
});

Deno.test("an answer of authorize that is no clear permission refuses everything", async () => {
  const unclear: unknown[] = [
    undefined,
    null,
    1,
    "yes",
    "admin",
    {},
    { actor: "" },
    { actor: 7 },
    { actor: "a".repeat(201) },
    [],
    new Request("http://localhost/"),
  ];
  for (const answer of unclear) {
    assertEquals(await statuses(() => answer), Array(5).fill(500), String(answer));
  }
  assertEquals(
    await statuses(() => {
      throw new Error("secret");
    }),
    Array(5).fill(500),
  );
  const { handler } = handlerWith(() => Promise.reject(new Error("secret")));
  assertEquals(await problemOf(get(handler, "/")), [
    500,
    'The function "authorize" failed. It must not throw or reject.',
  ]);
});

Deno.test("authorize is asked for each request, before an act, and with the request itself", async () => {
  const asked: string[] = [];
  let answer: boolean | "read" = true;
  const { store, handler } = handlerWith((request: Request) => {
    asked.push(`${request.method} ${new URL(request.url).pathname}`);
    return answer;
  });
  assertEquals((await act(handler, OPEN)).status, 200);
  answer = "read";
  assertEquals((await act(handler, { ...OPEN, action: "close" })).status, 403);
  assertEquals(asked, ["POST /api/act", "POST /api/act"]);
  assertEquals((await store.list())[0]?.forced?.state, "open");
});

Deno.test("the log names the actor of authorize, whatever the request says", async () => {
  for (const [answer, actor] of [[{ actor: "ada" }, "ada"], [true, "dashboard"]] as const) {
    const { store, handler } = handlerWith(() => answer);
    const response = await act(handler, { ...OPEN, actor: "mallory" });
    assertEquals(response.status, 200);
    const [change] = await store.history();
    assertEquals([change?.cause, change?.actor, change?.reason], ["force", actor, "maintenance"]);
  }
});
