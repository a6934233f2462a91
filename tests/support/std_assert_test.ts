// Where JSR is reachable, "@std/assert" is the original, and the stand-in's cases run against it too.
import * as std from "@std/assert";
import * as standIn from "./std_assert/mod.ts";

const implementations: [string, typeof standIn][] = [["stand-in", standIn]];
if (std.assertEquals as unknown !== standIn.assertEquals) {
  implementations.push(["@std/assert", std as unknown as typeof standIn]);
}

for (const [name, it] of implementations) {
  const test = (what: string, fn: () => void | Promise<void>) => Deno.test(`${name} ${what}`, fn);

  test("assertEquals holds for deep equality and nothing less", () => {
    passes(() => it.assertEquals({ a: [1, { b: "c" }] }, { a: [1, { b: "c" }] }));
    passes(() => it.assertEquals(Object.assign(Object.create(null), { a: 1 }), { a: 1 }));
    passes(() =>
      it.assertEquals<unknown>(new Map([[1, new Set([2])]]), new Map([[1, new Set([2])]]))
    );
    passes(() => it.assertEquals(NaN, NaN));
    fails(() => it.assertEquals<unknown>(1, "1"));
    fails(() => it.assertEquals<unknown>({ a: undefined }, {}));
    fails(() => it.assertEquals<unknown>([1, 2], [1]));
    fails(() => it.assertEquals<unknown>(new Date(0), new Date(1)));
    fails(() => it.assertEquals<unknown>(1n, 1));
    fails(() =>
      it.assertEquals<unknown>(
        { a: 1 },
        new (class A {
          a = 1;
        })(),
      )
    );
  });

  test("assertEquals compares the classes of arrays, and all that they hold", () => {
    class Rows extends Array<unknown> {}
    passes(() => it.assertEquals(Rows.of({ a: 1 }), Rows.of({ a: 1 })));
    passes(() => it.assertEquals<unknown>([Object.create(null), -0], [{}, 0]));
    fails(() => it.assertEquals<unknown>(Rows.of({ a: 1 }), [{ a: 1 }]));
    fails(() => it.assertEquals<unknown>([{ a: 1 }], Rows.of({ a: 1 })));
    fails(() => it.assertEquals<unknown>({ rows: Rows.of() }, { rows: [] }));
    fails(() => it.assertEquals<unknown>([[Rows.of()]], [[[]]]));
    fails(() => it.assertEquals<unknown>(Object.assign([1], { count: 1 }), [1]));
    fails(() =>
      it.assertEquals<unknown>(Object.assign([1], { count: 1 }), Object.assign([1], { count: 2 }))
    );
    fails(() => it.assertArrayIncludes<unknown>([Rows.of(1)], [[1]]));
  });

  test("assertNotEquals and the strict pair distinguish values from identities", () => {
    const object = {};
    passes(() => it.assertNotEquals<unknown>([1], [2]));
    fails(() => it.assertNotEquals([1], [1]));
    passes(() => it.assertStrictEquals(object, object));
    fails(() => it.assertStrictEquals({}, object));
    passes(() => it.assertNotStrictEquals({}, object));
    fails(() => it.assertNotStrictEquals(object, object));
  });

  test("assert, assertFalse and assertExists narrow by truth", () => {
    passes(() => it.assert(1));
    fails(() => it.assert(0, "zero"), "zero");
    passes(() => it.assertFalse(""));
    fails(() => it.assertFalse("x"));
    passes(() => it.assertExists(0));
    fails(() => it.assertExists(null));
  });

  test("assertThrows returns the error and checks its class and message", () => {
    const thrown = new RangeError("too far");
    const throws = () => {
      throw thrown;
    };
    std.assertStrictEquals(it.assertThrows(throws), thrown);
    const error: RangeError = it.assertThrows(throws, RangeError, "far");
    std.assertStrictEquals(error, thrown);
    fails(() => it.assertThrows(throws, TypeError));
    fails(() => it.assertThrows(throws, RangeError, "near"));
    fails(() => it.assertThrows(() => 1));
  });

  test("assertRejects resolves to the error and checks its class and message", async () => {
    const reason = new TypeError("wrong kind");
    const rejects = () => Promise.reject(reason);
    std.assertStrictEquals(await it.assertRejects(rejects), reason);
    const error: TypeError = await it.assertRejects(rejects, TypeError, "kind");
    std.assertStrictEquals(error, reason);
    await failsLater(() => it.assertRejects(rejects, RangeError));
    await failsLater(() => it.assertRejects(rejects, TypeError, "sort"));
    await failsLater(() => it.assertRejects(() => Promise.resolve(1)));
    await failsLater(() =>
      it.assertRejects(() => {
        throw reason;
      })
    );
  });

  test("assertIsError and assertInstanceOf check classes", () => {
    passes(() => it.assertIsError(new TypeError("a b"), Error, /a\sb/));
    fails(() => it.assertIsError("text"));
    fails(() => it.assertIsError(new Error("a"), TypeError));
    passes(() => it.assertInstanceOf(new Date(), Date));
    fails(() => it.assertInstanceOf({}, Date));
    passes(() => it.assertNotInstanceOf({}, Date));
    fails(() => it.assertNotInstanceOf(new Date(), Date));
  });

  test("assertObjectMatch and assertArrayIncludes accept more than is expected", () => {
    passes(() => it.assertObjectMatch({ a: { b: 1, c: 2 }, d: 3 }, { a: { b: 1 } }));
    fails(() => it.assertObjectMatch({ a: { b: 1 } }, { a: { b: 2 } }));
    fails(() => it.assertObjectMatch({}, { a: undefined }));
    passes(() => it.assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]));
    fails(() => it.assertArrayIncludes([1], [1, 2]));
  });

  test("the text and number assertions compare", () => {
    passes(() => it.assertStringIncludes("circuit", "cui"));
    fails(() => it.assertStringIncludes("circuit", "x"));
    passes(() => it.assertMatch("circuit", /^c/));
    fails(() => it.assertMatch("circuit", /^x/));
    passes(() => it.assertNotMatch("circuit", /^x/));
    fails(() => it.assertNotMatch("circuit", /^c/));
    passes(() => it.assertGreater(2, 1));
    fails(() => it.assertGreater(1, 1));
    passes(() => it.assertGreaterOrEqual(1, 1));
    fails(() => it.assertGreaterOrEqual(0, 1));
    passes(() => it.assertLess(1, 2));
    fails(() => it.assertLess(1, 1));
    passes(() => it.assertLessOrEqual(1, 1));
    fails(() => it.assertLessOrEqual(2, 1));
    passes(() => it.assertAlmostEquals(0.1 + 0.2, 0.3));
    fails(() => it.assertAlmostEquals(1, 1.1));
    passes(() => it.assertAlmostEquals(1, 1.1, 0.2));
  });

  test("fail and unreachable always fail", () => {
    fails(() => it.fail("because"), "because");
    fails(() => it.unreachable("because"), "because");
  });

  const passes = (fn: () => void) => fn();

  const fails = (fn: () => unknown, text = "") => {
    try {
      fn();
    } catch (error) {
      return isAssertion(error, text);
    }
    throw new Error("the assertion should have failed");
  };

  const failsLater = async (fn: () => Promise<unknown>) => {
    try {
      await fn();
    } catch (error) {
      return isAssertion(error, "");
    }
    throw new Error("the assertion should have failed");
  };

  const isAssertion = (error: unknown, text: string) => {
    if (error instanceof it.AssertionError && error.message.includes(text)) return;
    throw error;
  };
}
