/**
 * Runs the package's program as operators do, in pipes and in a terminal, on every runtime.
 *
 * @module
 */

import { createDatabase } from "../../../tests/support/database.ts";
import { hasScript } from "../../../tests/cli/program.ts";
import { PROGRAM } from "../manifest.ts";
import type { Outcome, ProgramQueue } from "./program_queue.ts";
import type { Ground } from "./projects.ts";
import { ensure, type Result, resultOf } from "./report.ts";
import type { Runtime } from "./runtimes.ts";

/** The drivers that the program can take from a project. */
const DRIVERS = ["postgres", "pg"];

/** Runs the program in a project with drivers, and in one without. */
export async function checkProgram(
  ground: Ground,
  runtimes: readonly Runtime[],
  project: string,
  plain: string,
): Promise<void> {
  const { queue, report } = ground;
  for (const runtime of runtimes) {
    await using database = await createDatabase(ground.database);
    const env = { DATABASE_URL: database.url };
    const run = (folder: string, ...args: string[]) =>
      queue.run([...commandOf(runtime, folder), ...args], folder, env);
    for (const driver of DRIVERS) {
      await report.group(
        `${runtime.name}, program with ${driver}`,
        () => session((...args) => run(project, ...args, "--driver", driver)),
      );
    }
    await report.group(
      `${runtime.name}, program without a driver`,
      async () => [
        await resultOf("uses what the runtime has, or names what is missing", async () => {
          const { success, output } = await run(plain, "list");
          ensure(
            // Bun has a driver of its own.
            runtime.name.startsWith("Bun")
              ? success
              : !success && /driver "postgres" or "pg" is not installed/.test(output),
            output,
          );
        }),
      ],
    );
    if (!hasScript) {
      report.ignore(`${runtime.name}, program in a terminal`, "there is no script of util-linux");
      continue;
    }
    await report.group(
      `${runtime.name}, program in a terminal`,
      async () => [
        await resultOf("the list fits, in colours", async () => {
          const { stdout } = await inTerminal(queue, commandOf(runtime, project), project, env);
          // deno-lint-ignore no-control-regex
          const lines = stdout.replaceAll(/\x1b\[\d+m|\r/g, "").trimEnd().split("\n");
          ensure(stdout.includes("\x1b[31mopen"), stdout);
          ensure(lines.every((line) => line.length <= 60), stdout);
        }),
      ],
    );
  }
}

/** The program of an installed package. Node starts it by its link, as npx does. */
function commandOf({ name, command }: Runtime, project: string): readonly string[] {
  const modules = `${project}/node_modules`;
  return name.startsWith("Node")
    ? [`${modules}/.bin/${PROGRAM.name}`]
    : [...command, `${modules}/@circuit-breaker/postgres/${PROGRAM.file}`];
}

/** What an operator does in a night. */
async function session(run: (...args: string[]) => Promise<Outcome>): Promise<Result[]> {
  const ends = (title: string, expected: RegExp, ...args: string[]) =>
    resultOf(title, async () => {
      const { success, stdout, output } = await run(...args);
      ensure(success && expected.test(stdout), output);
    });
  return [
    await ends("migrate", /is migrated|Nothing to do/, "migrate"),
    await ends("doctor", /\n0 problems, \d warnings\n$/, "doctor"),
    await ends("open", /^'a b': open, forced/, "open", "a b", "--reason", "it's a test", "--yes"),
    await ends("list", /^\[\{.*"key":"a b".*\}\]\n$/, "list", "--json"),
    await ends("show", /\n {2}why +it's a test\n/, "show", "a b"),
    await ends("history", /^AT .*\n.* 'a b' .* force /, "history"),
    await ends("instances", /^(\[.*\])\n$/, "instances", "--json"),
    await resultOf("a wrong word", async () => {
      const { success, output } = await run("lits");
      ensure(!success && output.includes('did you mean "list"?'), output);
    }),
  ];
}

function inTerminal(
  queue: ProgramQueue,
  command: readonly string[],
  project: string,
  env: Record<string, string>,
): Promise<Outcome> {
  const quoted = [...command, "list"].map((word) => `'${word}'`).join(" ");
  return queue.run(
    ["script", "--quiet", "--return", "--command", `stty cols 60; ${quoted}`, "/dev/null"],
    project,
    { ...env, NO_COLOR: "", TERM: "xterm" },
  );
}
