/**
 * Counts the cases in a report of `deno test --junit-path`.
 *
 * @module
 */

/** How a run of tests went. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The line that sums a run up. */
export function summaryOf({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/**
 * Counts cases: a test without steps is one, and each of a test's innermost steps is one. A test
 * that fails after all its steps passed, for a leak say, is one failure more.
 */
export function countCases(report: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  // Over all suites: a step is in the one of the file that defines it, not of the file of its test.
  const cases = [...report.matchAll(/<testcase name="([^"]*)"([^]*?)<\/testcase>/g)].map(
    ([, name = "", body = ""]) => ({ name, outcome: outcomeOf(body) }),
  );
  for (const { name, outcome } of cases) {
    const steps = cases.filter((it) => it.name.startsWith(`${name} &gt; `));
    const isCase = outcome === "failed"
      ? !steps.some((it) => it.outcome === "failed")
      : steps.length === 0;
    if (isCase) counts[outcome]++;
  }
  return counts;
}

function outcomeOf(body: string): keyof Counts {
  if (/<(failure|error)\b/.test(body)) return "failed";
  return /<skipped\b/.test(body) ? "skipped" : "passed";
}
