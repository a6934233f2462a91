import { assertEquals } from "@std/assert";
import { countCases, summaryOf } from "../../scripts/junit.ts";

function suite(...cases: string[]): string {
  return `<testsuites>\n<testsuite name="./a_test.ts" failures="0">\n${
    cases.join("\n")
  }\n</testsuite>\n</testsuites>`;
}

function testcase(name: string, body = ""): string {
  return `<testcase name="${name}" classname="./a_test.ts">\n${body}\n</testcase>`;
}

const FAILURE = '<failure message="Uncaught">AssertionError</failure>';

Deno.test("countCases counts tests without steps and the innermost steps of the others", () => {
  const report = suite(
    testcase("alone"),
    testcase("with steps"),
    testcase("with steps &gt; group"),
    testcase("with steps &gt; group &gt; one"),
    testcase("with steps &gt; group &gt; two"),
    testcase("ignored", "<skipped/>"),
  );
  assertEquals(countCases(report), { passed: 3, failed: 0, skipped: 1 });
});

Deno.test("countCases counts a failure once, where it happened", () => {
  const report = suite(
    testcase("with steps", FAILURE),
    testcase("with steps &gt; good"),
    testcase("with steps &gt; bad", FAILURE),
    testcase("leaks after its steps", FAILURE),
    testcase("leaks after its steps &gt; good"),
  );
  assertEquals(countCases(report), { passed: 2, failed: 2, skipped: 0 });
});

Deno.test("countCases finds the steps that another file defines for a test", () => {
  const report = suite(testcase("shared", FAILURE)) +
    suite(testcase("shared &gt; good"), testcase("shared &gt; bad", FAILURE));
  assertEquals(countCases(report), { passed: 1, failed: 1, skipped: 0 });
});

Deno.test("countCases finds nothing in a report that was not written", () => {
  assertEquals(countCases(""), { passed: 0, failed: 0, skipped: 0 });
});

Deno.test("summaryOf names skipped cases only where there are any", () => {
  assertEquals(summaryOf({ passed: 2, failed: 1, skipped: 0 }), "2 passed, 1 failed");
  assertEquals(summaryOf({ passed: 2, failed: 0, skipped: 3 }), "2 passed, 0 failed, 3 skipped");
});
