import { assert, assertEquals, assertMatch } from "@std/assert";
import type { CircuitChange, CircuitInstance, CircuitListing } from "../../mod.ts";
import { openStage } from "./stage.ts";

Deno.test("the CLI alone answers: which, since when, why, who, how many refused, yesterday", async () => {
  await using stage = await openStage({
    failureThreshold: 3,
    trip: "store",
    resetTimeoutMs: 60_000,
  });
  const { store } = stage;
  await store.recordSuccess("orders");
  const before = Date.now();
  for (let i = 0; i < 3; i++) await store.recordFailure("payments");
  for (let i = 0; i < 7; i++) await store.getState("payments");
  await store.close();
  await stage.cli([
    "open",
    "search",
    "--reason",
    "INC-7",
    "--for",
    "1h",
    "--yes",
    "--actor",
    "ada",
  ]);
  // What happened a day ago, as the log would have it now.
  await stage.client.query(
    `insert into stoma_circuit_breakers_changes
      (version, key, at, from_state, to_state, cause, actor, role, failure_count)
    values (nextval('stoma_circuit_breakers_versions'), 'mail', ${before - 30 * 3_600_000},
      'closed', 'open', 'trip', 'gateway-9', 'app', 12)`,
  );

  const { out } = await stage.cli(["list"]);
  const [titles, ...lines] = out.trimEnd().split("\n");
  assertMatch(titles!, /^STATE +KEY +SINCE +WHY +WHO +REFUSED +NEXT +FAILURES$/);
  assertMatch(lines[0]!, /^open +payments +[-\d]+ [:\d]+ \(\d+m?s\) +trip +gateway-1 +7 +.*3$/);
  assertMatch(
    lines[1]!,
    /^open, forced +search +[-\d]+ [:\d]+ \(\d+m?s\) +INC-7 +ada +ends in (1h|59m)/,
  );
  assertMatch(lines[2]!, /^closed +orders/);

  const listed: CircuitListing[] = JSON.parse((await stage.cli(["list", "--json"])).out);
  const payments = listed.find(({ key }) => key === "payments")!;
  assertEquals([payments.state, payments.cause, payments.actor, payments.refusedCount], [
    "open",
    "trip",
    "gateway-1",
    7,
  ]);
  assert(payments.openedAt >= before - 1000 && payments.openedAt <= Date.now() + 1000);

  const shown = (await stage.cli(["show", "payments"])).out;
  assertMatch(shown, /^ {2}refused +7 requests$/m);
  assertMatch(shown, /closed -> open {2}trip {2}by gateway-1 {2}\(role \S+\) {2}3 failures$/m);

  const yesterday: CircuitChange[] = JSON.parse(
    (await stage.cli(["history", "--since", "2d", "--until", "24h", "--json"])).out,
  );
  assertEquals(yesterday.map(({ key, to, cause, actor }) => [key, to, cause, actor]), [
    ["mail", "open", "trip", "gateway-9"],
  ]);
  const today = (await stage.cli(["history"])).out;
  assertMatch(today, /search +closed -> open +force +ada +INC-7/);

  const instances: CircuitInstance[] = JSON.parse((await stage.cli(["instances", "--json"])).out);
  for (const { label } of instances) assertEquals(label, "gateway-1");
});
