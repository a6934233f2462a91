/**
 * `deno task coverage <folder>`: says how many branches of `src/` the tests have taken that ran with
 * `DENO_COVERAGE_DIR=<folder>`, and which they have not. Fails below the bound.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { ROOT } from "./workspace.ts";

/** The least share of branches that tests take. */
const BOUND = 0.98;

/** The program that loads another engine for it: what runs there leaves nothing that Deno reads. */
const ELSEWHERE: readonly string[] = [
  // The page's script runs in a browser: its branches are taken there, see tests/dashboard.
  "src/dashboard/browser/",
  // Bun's own driver runs in Bun: see tests/adapters/bun_sql_test.ts.
  "src/adapters/bun_sql",
];

/** What the tests took of one file. */
export interface FileCoverage {
  /** Its path in the package. */
  path: string;
  branches: number;
  taken: number;
  /** The lines of branches that no test takes. */
  missed: number[];
}

/** Reads the branches of each file from a report in lcov's format. */
export function readLcov(lcov: string, root: string): FileCoverage[] {
  return lcov.split("end_of_record").flatMap((record) => {
    const path = /^SF:(.*)$/m.exec(record)?.[1];
    if (path === undefined) return [];
    // The last number says how often it was taken, or "-" where its block was never reached.
    const branches = [...record.matchAll(/^BRDA:(\d+),\d+,\d+,(.*)$/gm)]
      .map(([, line, times]) => ({ line: Number(line), isTaken: times !== "-" && times !== "0" }));
    const missed = branches.filter(({ isTaken }) => !isTaken).map(({ line }) => line);
    return [{
      path: path.startsWith(root) ? path.slice(root.length) : path,
      branches: branches.length,
      taken: branches.length - missed.length,
      missed,
    }];
  });
}

/** What is to be said of all files, and whether it is enough. */
export function judge(files: readonly FileCoverage[]): { lines: string[]; isEnough: boolean } {
  const judged = files.filter(({ path }) => !ELSEWHERE.some((each) => path.startsWith(each)));
  const branches = judged.reduce((sum, file) => sum + file.branches, 0);
  const taken = judged.reduce((sum, file) => sum + file.taken, 0);
  const share = branches === 0 ? 0 : taken / branches;
  const gaps = judged.filter(({ missed }) => missed.length > 0)
    .toSorted((one, other) => other.missed.length - one.missed.length);
  return {
    isEnough: share >= BOUND,
    lines: [
      ...gaps.map(({ path, missed }) => `${path}: lines ${missed.join(", ")}`),
      `Branches of src: ${taken} of ${branches}, ${(share * 100).toFixed(2)} %, bound ${
        BOUND * 100
      } %`,
    ],
  };
}

if (import.meta.main) {
  const [folder] = Deno.args;
  if (folder === undefined) {
    console.error("Cannot add coverage up: name the folder that the tests have filled");
    Deno.exit(2);
  }
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["coverage", "--lcov", `--include=^${new URL("src/", ROOT).href}`, folder],
    cwd: fileURLToPath(ROOT),
    stdin: "null",
  }).output();
  if (!success) {
    console.error(new TextDecoder().decode(stderr));
    Deno.exit(1);
  }
  const files = readLcov(new TextDecoder().decode(stdout), fileURLToPath(ROOT));
  const { lines, isEnough } = judge(files);
  for (const line of lines) console.log(line);
  Deno.exit(isEnough ? 0 : 1);
}
