/**
 * Every situation that the tests of opossum, cockatiel and Deno's standard library name, with what a
 * breaker of this package does: the same, or something else for a reason. The peers themselves are asked
 * where that is easy.
 */

import { assert, assertEquals } from "@std/assert";
import { situations } from "./situations.ts";

for (const { situation, peers, because, ours, expected, oracles = {} } of situations) {
  const verdict = because === undefined ? "as" : "other than";
  Deno.test(`${situation}: ${verdict} ${peers.join(", ")}`, async () => {
    assertEquals(await ours(), expected);
    for (const [name, ask] of Object.entries(oracles)) {
      const answer = await ask();
      if (because === undefined) assertEquals(answer, expected, name);
      else assert(JSON.stringify(answer) !== JSON.stringify(expected), `${name} does the same`);
    }
  });
}

Deno.test("the table has the situations that matter, each once", () => {
  const names = situations.map(({ situation }) => situation);
  assertEquals(new Set(names).size, names.length);
  assert(situations.some(({ oracles }) => oracles?.opossum !== undefined));
  assert(situations.some(({ oracles }) => oracles?.cockatiel !== undefined));
});
