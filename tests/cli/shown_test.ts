/** What `list`, `show`, `history`, `release` and `instances` print for people. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { VERSION } from "../../src/version.ts";
import { openStage, runCommand } from "./stage.ts";

Deno.test("list goes no further than its limit, and says that there is more", async () => {
  await using stage = await openStage();
  for (const key of ["a", "b", "c"]) await stage.store.transition(key, "open");
  await stage.store.recordFailure("d");
  const { out, err } = await stage.cli(["list", "--limit", "2"]);
  assertMatch(out, /^STATE .*\nopen +a .*\nopen +b .*\n$/);
  assertEquals(err, "These are the first 2: --limit shows more.\n");
});

Deno.test("show leaves out what a circuit does not have, and names the end of a forced state", async () => {
  await using stage = await openStage();
  await stage.store.recordFailure("api");
  const { out: fresh } = await stage.cli(["show", "api"]);
  assert(!/since|forced until/.test(fresh), fresh);
  assertMatch(fresh, /\n {2}counts +1 failure, 0 successes\n/);
  await stage.store.forceOpen("api", { reason: "INC-1", forMs: 600_000 });
  const { out } = await stage.cli(["show", "api"]);
  assertMatch(out, /\n {2}state +open, forced\n {2}since +\S/);
  assertMatch(out, /\n {2}forced until +\d{4}-\d\d-\d\d [\d:]{8}\n/);
  assertMatch(out, /closed -> open {2}force {2}by \S+ .*"INC-1"\n$/);
});

Deno.test("history shows one state where an operator forces the one that there was", async () => {
  await using stage = await openStage();
  await stage.store.transition("api", "open");
  await stage.store.forceOpen("api", { reason: "INC-1" });
  const { out } = await stage.cli(["history"]);
  const [, tripped, forced] = out.split("\n");
  assertMatch(tripped!, / api +closed -> open +trip +gateway-1 /);
  assertMatch(forced!, / api +open +force +gateway-1 +INC-1/);
});

Deno.test("release asks with what is known of the forced state", async () => {
  await using stage = await openStage();
  const release = async () => (await stage.cli(["release", "api"], { answer: false })).err;
  await stage.store.forceOpen("api", { reason: "INC-1", actor: "ada" });
  assertMatch(await release(), /^End the forced state of api \(open by ada: "INC-1"\)\. /);
  await stage.store.forceOpen("api", { actor: "ada" });
  assertMatch(await release(), /^End the forced state of api \(open by ada\)\. /);
  // Of a row that another program has written.
  await stage.client.query("update stoma_circuit_breakers set forced_by = null");
  assertMatch(await release(), /^End the forced state of api \(open\)\. /);
});

Deno.test("instances shows no staleness for an instance without a cache", async () => {
  await using stage = await openStage();
  await stage.client.query(
    `insert into stoma_circuit_breakers_instances (id, label, library, bound_ms, seen_at)
    values ('1', 'plain', $1, 0, extract(epoch from now())::bigint * 1000)`,
    [VERSION],
  );
  const { out } = await stage.cli(["instances"]);
  assertMatch(out, /\nplain +\d+\.\d+\.\d+ /);
  assert(!/\d+ms /.test(out.replace(/\(.*?\)/g, "")), out);
});

Deno.test("--version, with a command too, prints the version of the package", async () => {
  for (const args of [["--version"], ["list", "--version"]]) {
    assertEquals(await runCommand(args), { code: 0, out: `${VERSION}\n`, err: "" });
  }
});
