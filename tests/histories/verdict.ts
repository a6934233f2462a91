import { answerProblems } from "./checks/answers.ts";
import { withDoubts } from "./checks/crashes.ts";
import { countProblems, sharedCountProblems, zeroedProblems } from "./checks/counts.ts";
import { logProblems } from "./checks/log.ts";
import { probeProblems } from "./checks/probes.ts";
import { watchProblems } from "./checks/watches.ts";
import type { RecordedRun } from "./recorded.ts";
import type { LoggedError } from "./server_log.ts";

/** How many problems of each kind are shown. */
const SHOWN = 12;

/** What the server may say to a store under these faults: it was cancelled, killed or is starting. */
const EXPECTED = /^(57014|57P0[1-5]|08...|40001|55P03|54000)$/;

/** Every check, by name. */
export const CHECKS: Record<string, (run: RecordedRun) => string[]> = {
  answers: answerProblems,
  counts: countProblems,
  "shared counts": sharedCountProblems,
  "zeroed counts": zeroedProblems,
  log: logProblems,
  watches: watchProblems,
  probes: probeProblems,
};

/** All that is wrong with a run, and with what the server logged of the stores' statements. */
export function verdictOf(recorded: RecordedRun, errors: readonly LoggedError[]): string[] {
  const run = withDoubts(recorded);
  const found = Object.entries(CHECKS).flatMap(([name, check]) => {
    const problems = check(run);
    const more = problems.length - SHOWN;
    return [
      ...problems.slice(0, SHOWN).map((problem) => `${name}: ${problem}`),
      ...more > 0 ? [`${name}: ${more} more`] : [],
    ];
  });
  const unexpected = new Map<string, number>();
  for (const { sqlState, application, message } of errors) {
    const isOwn = /^i\d/.test(application) && !EXPECTED.test(sqlState);
    if (!isOwn && sqlState !== "40P01") continue;
    const id = `${sqlState} ${message}`;
    unexpected.set(id, (unexpected.get(id) ?? 0) + 1);
  }
  for (const [id, times] of unexpected) found.push(`server: ${times} times ${id}`);
  return found;
}

/** How much was recorded. */
export function summaryOf({ calls, rows, log, watches, instances }: RecordedRun): string {
  const fates = { answered: 0, "not done": 0, unknown: 0 };
  for (const { fate } of calls) fates[fate]++;
  const delivered = watches.reduce((sum, { changes }) => sum + changes.length, 0);
  return `${calls.length} operations of ${instances.length} instances (${fates.answered} answered, ` +
    `${
      fates["not done"]
    } not done, ${fates.unknown} of unknown fate), ${rows.length} rows written, ` +
    `${log.length} changes logged, ${delivered} delivered by ${watches.length} watches`;
}
