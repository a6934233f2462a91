import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { KnownVersions } from "../src/known_versions.ts";

Deno.test("KnownVersions are shared by all that use a client and a table", () => {
  const [one, other] = [{}, {}];
  assertStrictEquals(KnownVersions.of(one, "circuits"), KnownVersions.of(one, "circuits"));
  assertNotStrictEquals(KnownVersions.of(one, "circuits"), KnownVersions.of(one, "others"));
  assertNotStrictEquals(KnownVersions.of(one, "circuits"), KnownVersions.of(other, "circuits"));
});

Deno.test("KnownVersions keep the highest version of a circuit, and a copy of them stays as it is", () => {
  const known = KnownVersions.of({}, "circuits");
  for (const version of [3, 5, 4]) known.note("api", version);
  const copy = known.copy();
  known.note("api", 6);
  assertEquals([copy.get("api"), known.copy().get("api")], [5, 6]);
});

Deno.test("KnownVersions forget the circuits whose last change is the longest ago", () => {
  const known = KnownVersions.of({}, "circuits");
  for (let i = 0; i < 1000; i++) known.note(`${i}`, 1);
  known.note("0", 2);
  known.note("more", 1);
  assertEquals([known.copy().size, known.copy().has("0"), known.copy().has("1")], [
    1000,
    true,
    false,
  ]);
});
