/**
 * Every public error message, once, with its exact text. A message that is new in the sources has to be
 * added to the list, provoked through the public API.
 */

import { assert, assertEquals } from "@std/assert";
import { failureOf } from "./conformance/session.ts";
import { ADAPTERS, ARGUMENTS, CLIENTS, METHODS, serverMessages } from "./messages/listed.ts";
import { BREAKER } from "./messages/breaker.ts";
import { DASHBOARD } from "./messages/dashboard_messages.ts";
import { EDGE } from "./messages/edge_messages.ts";
import { METRICS } from "./messages/metrics.ts";
import { PROBING_OPTIONS } from "./messages/probing_options.ts";
import { templates, templatesOf } from "./messages/templates.ts";
import { WEB } from "./messages/web.ts";
import { openPostgresJs } from "./support/clients.ts";
import { createDatabase } from "./support/database.ts";

/** Messages that no call of the public API provokes at will. Strike what has gone from the sources. */
const NOT_LISTED: readonly string[] = [
  "src/cache/last_count.ts: Cannot close store: ${} acknowledged successes were not counted${}",
  "src/cache/flusher.ts: Cannot count successes: the row of this instance was removed: ${} " +
  "acknowledged successes can be missing",
  "src/rules/memory_circuits.ts: Cannot read changes: these circuits have no log",
  "src/postgres/coalescer.ts: Cannot ${}: ${} calls already wait for the database",
  "src/postgres/change_feed.ts: Cannot listen to changes: ${}: the store looks for them at intervals " +
  "instead",
  "src/postgres/codec.ts: Cannot use the database: the server takes no writes (a standby, or a " +
  "failover in progress)",
  "src/dashboard/viewer.ts: Cannot send events: the browser reads too slowly",
  "src/adapters/subscription.ts: Cannot listen: the connection ended",
  "src/adapters/deno_postgres_pools.ts: Cannot query Deno Postgres: the client has ended",
  "src/adapters/postgres_js_listener.ts: Cannot connect: nobody listens",
  "src/postgres/statements/examine.ts: Cannot examine: the driver changed the server's answer",
  "src/postgres/plan_migration.ts: Cannot ${}: the driver changed the server's message",
];

/** Modules, and a folder, of which a test of their own compares every message. */
const LISTED_ELSEWHERE: readonly string[] = [
  "src/cli/",
  "src/postgres/migrate.ts",
  "src/postgres/readiness.ts",
  "src/postgres/row_security.ts",
];

async function messageOf(call: () => unknown): Promise<string> {
  const error = await failureOf(call);
  assert(error instanceof Error, String(error));
  return error.message;
}

/** The messages that the listed calls show, beside those that they should show. */
async function showMessages(): Promise<[shown: string[], listed: string[]]> {
  await using database = await createDatabase();
  await using driver = await openPostgresJs(database.url, { max: 1 });
  const listed = [
    ...[ARGUMENTS, PROBING_OPTIONS, EDGE, DASHBOARD, METHODS, BREAKER, ADAPTERS, CLIENTS],
    ...[METRICS, WEB],
    serverMessages(driver.client),
  ].flat();
  const shown: string[] = [];
  for (const [call] of listed) shown.push(await messageOf(call));
  return [shown, listed.map(([, message]) => message)];
}

Deno.test("every public error message reads as it is listed", async () => {
  const [shown, listed] = await showMessages();
  assertEquals(shown, listed);
  assertEquals(shown.filter((message) => !/^Cannot [^:]+: ./.test(message)), []);
});

Deno.test("every public error message is listed", async () => {
  const [shown] = await showMessages();
  const inSources = await templates();
  assert(inSources.length > 30, "the sources were not found");
  const missing = inSources.filter(({ name, pattern }) =>
    !NOT_LISTED.includes(name) && !LISTED_ELSEWHERE.some((path) => name.startsWith(path)) &&
    !shown.some((message) => pattern.test(message))
  );
  assertEquals(missing.map(({ name }) => name), []);
  const names = inSources.map(({ name }) => name);
  assertEquals(NOT_LISTED.filter((name) => !names.includes(name)), []);
});

Deno.test("templatesOf finds messages however they are written", () => {
  const source = `
    throw new TypeError("Cannot sing: no voice, received " + describe(value));
    throw new RangeError(\`Cannot \${action}: too \${much}\`);
    const late = () => new StoreTimeoutError("It took too long");
    const text = "Cannot dance: " + \`no legs in \${place}\`;
    throw new SchemaError(message);
    // Cannot be found: this is a comment
    throw new Map("Cannot be thrown: no error");
  `;
  assertEquals(templatesOf("a.ts", source).map(({ name }) => name), [
    "a.ts: Cannot sing: no voice, received ${}",
    "a.ts: Cannot ${}: too ${}",
    "a.ts: It took too long",
    "a.ts: Cannot dance: no legs in ${}",
    "a.ts: Cannot be thrown: no error",
  ]);
  const { pattern } = templatesOf("a.ts", source)[0]!;
  assert(pattern.test("Cannot sing: no voice, received 5"));
  assert(!pattern.test("Cannot sing: no voice"));
});
