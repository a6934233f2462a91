import { assertEquals } from "@std/assert";
import { openNodePostgres } from "../../support/clients.ts";
import { createArena } from "./arena.ts";
import { Attacker } from "./attacker.ts";

/** Statements that a neighbour can take over, and what takes them over. */
const TAKEN: Record<string, string> = {
  "select format('%s', 1::bigint)": "format",
  "select to_json('a'::text)": "to_json",
  "select array_to_string(array[1::bigint], ',')": "array_to_string",
  "select 1::bigint from generate_series(1, 2::bigint)": "generate_series",
  "select nextval('numbers')": "nextval",
  "select count(1::bigint)": "count",
  "select at from unnest(array[1::bigint]) as list (at)": "unnest",
  "select 1.5::double precision * 2::integer": "double precision * integer",
  "select array[1::bigint] = '{}'": "bigint[] = bigint[]",
  "select nullif(array[$1::text], array['a'])": "text[] = text[]",
  "select 'a' || $1::text::bigint": 'invalid input syntax for type bigint: "a"',
  "select case when now() < 'epoch'::timestamptz then array_to_json(array[2::bigint]) end":
    "array_to_json",
  "do $$ begin perform concat_ws(',', 'a'::text, 'b'::text); end $$": "concat_ws",
};

/** Statements that look like those and have an exact match in `pg_catalog`. */
const SAFE: readonly string[] = [
  "select pg_catalog.format('%s', 1::bigint), nextval('numbers'::regclass), count(*)",
  "select 1.5::double precision * 2::double precision, 'a' || 2::bigint::text",
  "select abs($1::text::bigint), left('abc'::text, 2), floor(1.5::double precision)",
  "select date_part('epoch', clock_timestamp()), 'a'::text in ('b', 'c'), extract(epoch from now())",
];

Deno.test("the attacker takes over what has no exact match, and says so", async (t) => {
  await using arena = await createArena();
  await using attacker = new Attacker(arena);
  await using driver = await openNodePostgres(arena.gateway.url, { max: 1, prepare: false });
  await driver.client.query("create sequence numbers");
  const client = attacker.ambush(driver.client);
  const send = async (text: string) => {
    attacker.captures.length = 0;
    await client.query(text, text.includes("$1") ? ["1"] : []).catch(() => {});
    return attacker.captures.map(({ culprit }) => culprit);
  };
  for (const [text, culprit] of Object.entries(TAKEN)) {
    await t.step(text, async () => assertEquals((await send(text))[0], culprit));
  }
  for (const text of SAFE) {
    await t.step(`not ${text}`, async () => assertEquals(await send(text), []));
  }
});
