import { assertEquals } from "@std/assert";
import { Claims } from "../../src/admission/claims.ts";
import type { Round } from "../../src/circuit.ts";

const FIRST: Round = { version: 2, lastStateChange: 1000 };
const SECOND: Round = { version: 3, lastStateChange: 2000 };

/** The rounds of the results that the policy reports next, until none is owed. */
function takeAll(claims: Claims<string>): number[] {
  const taken: number[] = [];
  for (let round = claims.take("api"); round !== undefined; round = claims.take("api")) {
    taken.push(round.version);
  }
  return taken;
}

Deno.test("Claims gives each result a claim of the round, the oldest first", () => {
  const claims = new Claims<string>();
  assertEquals(claims.take("api"), undefined);
  const [one, two] = [claims.add("api", FIRST, false), claims.add("api", FIRST, false)];
  claims.add("other", SECOND, false);
  assertEquals(claims.take("api"), one);
  assertEquals(claims.take("api"), two);
  assertEquals(claims.take("api"), undefined);
  assertEquals(claims.take("other")?.version, 3);
});

Deno.test("Claims drops the claims of an earlier round when a later one is claimed", () => {
  const claims = new Claims<string>();
  claims.add("api", FIRST, false);
  claims.add("api", SECOND, false);
  claims.add("api", SECOND, false);
  assertEquals(takeAll(claims), [3, 3]);
});

Deno.test("Claims keeps rounds of one version apart by their time", () => {
  const claims = new Claims<string>();
  claims.add("api", FIRST, false);
  claims.add("api", { ...FIRST, lastStateChange: 1500 }, false);
  assertEquals(takeAll(claims), [2]);
});

Deno.test("Claims keeps rounds of one time apart by their version", () => {
  const claims = new Claims<string>();
  claims.add("api", FIRST, false);
  claims.add("api", { ...FIRST, version: 4 }, false);
  assertEquals(takeAll(claims), [4]);
});

Deno.test("Claims owes nothing more of a claim that is removed again", () => {
  const claims = new Claims<string>();
  const claim = claims.add("api", FIRST, false);
  for (let time = 0; time < 2; time++) claims.remove("api", claim);
  assertEquals([claims.roundOf("api"), claims.permits()], [undefined, []]);
});

Deno.test("Claims keeps the claims of permits from the policy's results", () => {
  const claims = new Claims<string>();
  const ofPermit = claims.add("api", FIRST, true);
  ofPermit.permit = "permit";
  claims.add("api", FIRST, false);
  assertEquals(claims.permits(), ["permit"]);
  assertEquals(takeAll(claims), [2]);
  assertEquals(claims.roundOf("api"), ofPermit, "the permit's result is owed");
  claims.remove("api", ofPermit);
  assertEquals([claims.roundOf("api"), claims.permits()], [undefined, []]);
});

Deno.test("Claims remembers the keys that were claimed last", () => {
  const claims = new Claims<string>();
  for (let key = 0; key <= 10_000; key++) claims.add(`${key}`, FIRST, false);
  assertEquals(claims.roundOf("0"), undefined);
  assertEquals(claims.roundOf("1")?.version, 2);
});
