import { assertEquals } from "@std/assert";
import { describe } from "../src/describe.ts";

Deno.test("describe shows strings by their length only", () => {
  assertEquals(describe(""), "an empty string");
  assertEquals(describe("x"), "a string of 1 character");
  assertEquals(describe("postgres://user:secret@localhost/app"), "a string of 36 characters");
  assertEquals(describe("\n\x1b[31m"), "a string of 6 characters");
});

Deno.test("describe names other values on one line", () => {
  class Circuit {}
  const values: [unknown, string][] = [
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    [-0.5, "-0.5"],
    [NaN, "NaN"],
    [10n ** 1000n, "a bigint"],
    [Symbol("secret"), "a symbol"],
    [() => "secret", "a function"],
    [["secret"], "an array"],
    [{ secret: 1 }, "an object"],
    [Object.create(null), "an object"],
    [new Circuit(), "an instance of Circuit"],
    [new String("secret"), "an instance of String"],
  ];
  for (const [value, shown] of values) assertEquals(describe(value), shown);
});

Deno.test("describe shows nothing that an object says of itself", () => {
  const throws = () => {
    throw new Error("no");
  };
  const liars = [
    { constructor: { name: "Secret" } },
    {
      get constructor() {
        return throws();
      },
    },
    { [Symbol.toStringTag]: "secret" },
    { toString: () => "secret" },
    Object.create({ constructor: { name: "a\nsecret" } }),
    new Proxy({}, { getPrototypeOf: throws }),
  ];
  for (const liar of liars) assertEquals(describe(liar), "an object");
});
