/** The help: of all commands, and of each with examples. */

import { COMMON_OPTIONS } from "./arguments.ts";
import type { Command, OptionSpec } from "./command.ts";

/** How the program is called, by the runtime. */
const PROGRAMS: Readonly<Record<string, string>> = {
  node: "npx @circuit-breaker/postgres",
  deno: "deno run -A jsr:@circuit-breaker/postgres/cli",
  bun: "bunx @circuit-breaker/postgres",
};

/** How an operator calls the program. */
export function programOf(runtime: string): string {
  return PROGRAMS[runtime] ?? PROGRAMS.node!;
}

const EXIT_CODE_WORDS: readonly (readonly [code: string, words: string])[] = [
  ["0", "done"],
  ["1", "doctor found a problem, or the database refused the command"],
  ["2", "the command line is wrong"],
  ["3", "the database cannot be reached, does not answer in time, or takes no writes"],
  ["4", "not confirmed"],
  ["5", "no circuit has the key"],
  ["130", "watch was ended by Ctrl-C (143: by SIGTERM)"],
];

/** Lines are no longer than this, however wide the terminal is. */
const MAX_COLUMNS = 100;

/** Where help is read. */
export interface HelpPlace {
  readonly runtime: string;
  /** The terminal's width; `undefined` without one. */
  readonly columns: number | undefined;
}

/** The help of the program. */
export function mainHelp(commands: readonly Command[], place: HelpPlace): string {
  const program = programOf(place.runtime);
  return [
    ...wrapped(
      "",
      "The operator's window on the circuits that a fleet shares in PostgreSQL.",
      place,
    ),
    "",
    `Usage: ${program} COMMAND [OPTIONS]`,
    "",
    "Commands:",
    ...pairLines(commands.map((each) => [synopsis(each), each.summary]), place),
    "",
    "Options of every command:",
    ...optionLines(COMMON_OPTIONS, place),
    "",
    ...wrapped("", DATABASE_WORDS, place),
    ...wrapped("", COLOR_WORDS, place),
    "",
    "Exit codes:",
    ...pairLines(EXIT_CODE_WORDS, place),
    "",
    ...wrapped("", `"${program} help COMMAND" says more, with examples.`, place),
    "",
  ].join("\n");
}

const DATABASE_WORDS =
  "The database is the one of --url, of DATABASE_URL, or of PGHOST, PGDATABASE, PGUSER and so on.";
const COLOR_WORDS =
  "Text has colours on a terminal only; NO_COLOR and FORCE_COLOR decide otherwise.";

/** The help of one command. */
export function commandHelp(command: Command, place: HelpPlace): string {
  const program = programOf(place.runtime);
  const { summary, details = [], options, examples } = command;
  return [
    ...wrapped("", `${summary[0]!.toUpperCase()}${summary.slice(1)}.`, place),
    ...wrapped("", details.join(" "), place),
    "",
    `Usage: ${program} ${synopsis(command)} [OPTIONS]`,
    "",
    ...Object.keys(options).length === 0 ? [] : ["Options:", ...optionLines(options, place), ""],
    "Options of every command:",
    ...optionLines(COMMON_OPTIONS, place),
    "",
    "Examples:",
    ...examples.map((example) => `  ${program} ${example}`),
    "",
  ].join("\n");
}

function synopsis({ name, hasKey }: Command): string {
  return hasKey ? `${name} KEY` : name;
}

function optionLines(
  options: Readonly<Record<string, OptionSpec>>,
  place: HelpPlace,
): string[] {
  return pairLines(
    Object.entries(options).map(([name, { value, description }]) => [
      value === undefined ? `--${name}` : `--${name} ${value}`,
      description,
    ]),
    place,
  );
}

function pairLines(
  pairs: readonly (readonly [name: string, words: string])[],
  place: HelpPlace,
): string[] {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.flatMap(([name, words]) => wrapped(`  ${name.padEnd(width)}  `, words, place));
}

/** A text in lines that fit. The first begins with a text, under which the others are indented. */
function wrapped(beginning: string, text: string, { columns = MAX_COLUMNS }: HelpPlace): string[] {
  const most = Math.min(columns, MAX_COLUMNS);
  const lines: string[] = [];
  let line = beginning;
  for (const word of text.split(" ").filter((each) => each !== "")) {
    if (line.length + word.length > most && line.trimEnd() !== beginning.trimEnd()) {
      lines.push(line.trimEnd());
      line = " ".repeat(beginning.length);
    }
    line += `${word} `;
  }
  return text === "" ? [] : [...lines, line.trimEnd()];
}
