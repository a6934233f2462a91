/**
 * Runs tests without a test runner, so that they are the same on every runtime: one line of JSON for
 * each on the standard output.
 *
 * @module
 */

import type { TestRunner } from "../conformance/suite.ts";

/** A test that waits to be run. */
export interface Case {
  readonly name: string;
  readonly fn: () => void | Promise<void>;
}

/** What is printed of one test. */
export interface CaseResult {
  readonly name: string;
  /** Why it failed; absent where it passed. */
  readonly failure?: string;
}

/** A runner that keeps the tests for later. */
export function collector(cases: Case[]): TestRunner {
  return { test: (name, fn) => void cases.push({ name, fn }) };
}

/** Runs tests one after the other. */
export async function runCases(cases: readonly Case[]): Promise<void> {
  for (const { name, fn } of cases) console.log(JSON.stringify(await resultOf(name, fn)));
}

async function resultOf(name: string, fn: Case["fn"]): Promise<CaseResult> {
  try {
    await fn();
    return { name };
  } catch (error) {
    return { name, failure: error instanceof Error ? error.stack ?? error.message : String(error) };
  }
}
