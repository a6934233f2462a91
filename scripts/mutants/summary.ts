import type { Verdict } from "./trial.ts";

/** The counts of one subject, and the share of its mutants that some test notices. */
export function summaryOf(name: string, verdicts: readonly Verdict[]): string {
  const count = (fate: Verdict["fate"]) => verdicts.filter((each) => each.fate === fate).length;
  const [killed, timeout] = [count("killed"), count("timeout")];
  const share = verdicts.length === 0 ? 1 : (killed + timeout) / verdicts.length;
  return `${name}: ${
    (Math.floor(share * 1000) / 10).toFixed(1)
  } % of ${verdicts.length} noticed: ` +
    `${killed} killed, ${timeout} timeouts, ${count("survived")} survived, ` +
    `${count("unreached")} unreached`;
}

/** Where a mutant is, and what it changes, in one line. */
export function survivorLine(
  { fate, file, line, column, kind, original, replacement, reachedBy }: Verdict,
): string {
  return `${fate} (${reachedBy} tests) ${file}:${line}:${column} ${kind}: ` +
    `${short(original)} -> ${short(replacement)}`;
}

function short(code: string): string {
  const line = code.replaceAll(/\s+/g, " ");
  return line.length > 90 ? `${line.slice(0, 60)} ... ${line.slice(-25)}` : line;
}
