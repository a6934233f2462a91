/**
 * Counts what the checks of the package find, and prints it.
 *
 * @module
 */

import { summaryOf } from "../../junit.ts";

// What breaks one case of a suite often breaks most of them.
const MAX_SHOWN = 5;

/** One thing that was checked. */
export interface Result {
  readonly name: string;
  /** Why it failed; absent where it passed. */
  readonly failure?: string | undefined;
}

/** What all groups of checks came to. */
export class Report {
  readonly #counts = { passed: 0, failed: 0, skipped: 0 };

  /** Whether anything failed, or nothing ran. */
  get failed(): boolean {
    return this.#counts.failed > 0 || this.#counts.passed === 0;
  }

  /** The line that sums everything up. */
  get summary(): string {
    return summaryOf({ ...this.#counts, skipped: 0 });
  }

  /** Runs a group and prints one line for it, and more for what fails in it. */
  async group(title: string, run: () => Promise<Result[]>): Promise<void> {
    const start = performance.now();
    const results = await run().catch((error) => [{
      name: "runs to its end",
      failure: error instanceof Error ? error.message : String(error),
    }]);
    const failures = results.filter(({ failure }) => failure !== undefined);
    const counts = {
      passed: results.length - failures.length,
      failed: failures.length,
      skipped: 0,
    };
    this.#counts.passed += counts.passed;
    this.#counts.failed += counts.failed;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${title}: ${summaryOf(counts)} (${seconds} s)`);
    for (const { name, failure = "" } of failures.slice(0, MAX_SHOWN)) {
      console.log(`  FAILED ${name}\n${indent(failure)}`);
    }
    const hidden = failures.length - MAX_SHOWN;
    if (hidden > 0) console.log(`  and ${hidden} more`);
  }

  /** Prints that a group does not run, and why. */
  ignore(title: string, reason: string): void {
    console.log(`${title}: ignored, ${reason}`);
  }
}

/** Runs a check. Its error becomes a result. */
export async function resultOf(name: string, check: () => unknown): Promise<Result> {
  try {
    await check();
    return { name };
  } catch (error) {
    return { name, failure: error instanceof Error ? error.message : String(error) };
  }
}

/** Throws unless a condition holds. */
export function ensure(condition: boolean, failure: string): asserts condition {
  if (!condition) throw new Error(failure);
}

function indent(text: string): string {
  return text.trimEnd().split("\n").map((line) => `    ${line}`).join("\n");
}
