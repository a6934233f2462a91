import { assert, assertEquals } from "@std/assert";
import { CLI } from "../messages/cli.ts";
import { templates } from "../messages/templates.ts";
import { openStage } from "./stage.ts";

/** Messages that need another driver or another server. Strike what has gone from the sources. */
const NOT_LISTED: readonly string[] = [
  'src/cli/connection.ts: Cannot connect: the driver "${}" that is installed in this folder does not load',
  "src/cli/connection.ts: Cannot connect: the driver ${} is not installed in this folder, run " +
  "${}${}",
  // A test of the server compares it.
  "src/cli/serve_http.ts: Cannot serve dashboard: ${}, received ${}",
];

Deno.test("every message of the CLI reads as it is listed, and every one is listed", async () => {
  await using stage = await openStage();
  for (const key of ["k1", "k2"]) await stage.store.recordFailure(key);
  const shown: string[] = [];
  for (const [args, , env = {}] of CLI) {
    const { err } = await stage.cli(args, { env });
    shown.push(err.split("\n")[0]!);
  }
  assertEquals(shown, CLI.map(([, message]) => message));
  const inSources = (await templates()).filter(({ name }) => name.startsWith("src/cli/"));
  assert(inSources.length > 15, "the sources were not found");
  const missing = inSources.filter(({ name, pattern }) =>
    !NOT_LISTED.includes(name) && !shown.some((message) => pattern.test(message))
  );
  assertEquals(missing.map(({ name }) => name), []);
  const names = inSources.map(({ name }) => name);
  assertEquals(NOT_LISTED.filter((name) => !names.includes(name)), []);
});
