import { assertEquals } from "@std/assert";
import { withNames, withoutBareImports } from "../../scripts/npm/bundle.ts";

Deno.test("withNames() gives exported classes a name of their own, and no other statement", () => {
  const source = `export class A extends B { #a = 1; }
class Hidden {}
export const C = class {};
export class D { static { log("}"); } }
`;
  assertEquals(
    withNames(source),
    source.replace("B {", 'B { static name = "A";').replace(
      "class D {",
      'class D { static name = "D";',
    ),
  );
});

Deno.test("withoutBareImports() leaves imports of names", () => {
  assertEquals(
    withoutBareImports('import"./1.js";import{a as b}from"./2.js";import"./3.js";export{b as c};'),
    'import{a as b}from"./2.js";export{b as c};',
  );
});
