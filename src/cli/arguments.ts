/** Command lines: which command, which options, which key. Mistakes get an error that names the near word. */

import { describe } from "../describe.ts";
import { isNearMiss } from "../option_names.ts";
import type { Command, Given, GivenOptions, OptionSpec } from "./command.ts";
import { tokensOf } from "./node.ts";
import { parseDuration, parseMoment } from "./times.ts";
import { UsageError } from "./usage_error.ts";

/** The options of every command. */
export const COMMON_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  url: {
    value: "URL",
    description: "the database; better in DATABASE_URL, because other users see command lines",
  },
  table: { value: "NAME", description: 'the table, default "stoma_circuit_breakers"' },
  driver: {
    value: "NAME",
    description: "postgres or pg, default the one that the project in this folder has",
  },
  timeout: {
    value: "TIME",
    description: "how long the database may take for one answer, default 5s",
  },
  json: { description: "JSON for programs instead of text for people" },
  help: { description: "this help" },
  version: { description: "the version of this package" },
};

/** A command line that asks for something that no command does. */
export interface Request {
  readonly kind: "help" | "version";
  /** The command whose help is asked for. */
  readonly command?: Command;
}

/** Words of the house: only these may stand in a message as they were given. */
const PLAIN = /^[a-z][a-z-]{0,30}$/;

/**
 * Takes a command line apart.
 *
 * @throws {UsageError} If it is wrong.
 */
export function parseCommandLine(
  args: readonly string[],
  commands: readonly Command[],
): Given | Request {
  const tokens = tokensOf(args, specsOf(commands));
  const words = tokens.flatMap((token) => token.kind === "positional" ? [token.value] : []);
  const isAsked = (name: string) =>
    tokens.some((token) => token.kind === "option" && token.name === name);
  const [name, ...positionals] = words;
  if (name === "help") {
    return positionals[0] === undefined
      ? { kind: "help" }
      : { kind: "help", command: commandOf(positionals[0], commands) };
  }
  if (name === undefined) {
    if (isAsked("version")) return { kind: "version" };
    if (isAsked("help")) return { kind: "help" };
    throw new UsageError("Cannot run: no command is given");
  }
  const command = commandOf(name, commands);
  if (isAsked("help")) return { kind: "help", command };
  if (isAsked("version")) return { kind: "version" };
  const options: Record<string, string | true> = {};
  const known = { ...command.options, ...COMMON_OPTIONS };
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const spec = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (spec === undefined) throw unknownOption(token.rawName, known, command);
    if (spec.value === undefined) {
      if (token.value !== undefined) {
        throw new UsageError(`Cannot run: --${token.name} takes no value`, command.name);
      }
      options[token.name] = true;
    } else {
      if (token.value === undefined || isOption(token)) {
        throw new UsageError(
          `Cannot run: --${token.name} needs a value, write --${token.name}=${spec.value}`,
          command.name,
        );
      }
      options[token.name] = token.value;
    }
  }
  return { command, options, key: keyOf(positionals, command) };
}

/** Whether the value of an option is more likely the next option: its name was typed without one. */
function isOption({ value, inlineValue }: { value?: string; inlineValue?: boolean }): boolean {
  return inlineValue === false && /^--[a-z]/.test(value!);
}

function specsOf(commands: readonly Command[]): Parameters<typeof tokensOf>[1] {
  const all = Object.assign(
    {},
    ...commands.map(({ options }) => options),
    COMMON_OPTIONS,
  ) as Record<string, OptionSpec>;
  return Object.fromEntries(
    Object.entries(all).map(([name, { value }]) => [name, {
      type: value === undefined ? "boolean" as const : "string" as const,
      ...name === "help" && { short: "h" },
    }]),
  );
}

function commandOf(name: string, commands: readonly Command[]): Command {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const near = nearest(name, commands.map((command) => command.name));
  throw new UsageError(
    `Cannot run: there is no command ${shownWord(name)}${suggestion(near)}`,
  );
}

function unknownOption(
  rawName: string,
  known: Readonly<Record<string, OptionSpec>>,
  command: Command,
): UsageError {
  const near = nearest(rawName.replace(/^-+/, ""), Object.keys(known));
  const hint = command.hasKey && near === undefined
    ? '; before a key that begins with "-", write --'
    : suggestion(near === undefined ? undefined : `--${near}`);
  return new UsageError(
    `Cannot run: ${command.name} has no option ${shownWord(rawName)}${hint}`,
    command.name,
  );
}

function shownWord(word: string): string {
  return PLAIN.test(word.replace(/^--?/, "")) ? `"${word}"` : `of that name (${describe(word)})`;
}

function suggestion(near: string | undefined): string {
  return near === undefined ? "" : `, did you mean "${near}"?`;
}

/** The word that was most likely meant. */
function nearest(given: string, words: readonly string[]): string | undefined {
  if (given === "") return undefined;
  return words.find((word) => isNearMiss(given, word)) ??
    words.find((word) => given.length >= 2 && word.startsWith(given)) ??
    words.find((word) => isOneEditAway(given, word));
}

/** Whether one letter was left out, added, replaced, or swapped with its neighbour. Short words count too. */
function isOneEditAway(given: string, word: string): boolean {
  if (word.length < 4 || Math.abs(given.length - word.length) > 1) return false;
  let begin = 0;
  while (begin < given.length && given[begin] === word[begin]) begin++;
  const [a, b] = [given.slice(begin), word.slice(begin)];
  return a.slice(1) === b || b.slice(1) === a || a.slice(1) === b.slice(1) ||
    a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2);
}

function keyOf(positionals: readonly string[], command: Command): string | undefined {
  const { name, hasKey } = command;
  if (!hasKey) {
    if (positionals.length > 0) throw new UsageError(`Cannot run: ${name} takes no key`, name);
    return undefined;
  }
  if (positionals.length === 1) return positionals[0];
  throw new UsageError(
    positionals.length === 0
      ? `Cannot run: ${name} needs the key of a circuit`
      : `Cannot run: ${name} takes one key, received ${positionals.length} words: put quotes around it`,
    name,
  );
}

/** The text of an option; `undefined` where it was not given. */
export function textOption(options: GivenOptions, name: string): string | undefined {
  const value = options[name];
  return value === true ? undefined : value;
}

/** The duration in an option, in milliseconds. */
export function durationOption({ options, command }: Given, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new UsageError(
    `Cannot run: --${name} must be a duration such as 30s, 10m, 24h or 7d, received ${
      describe(text)
    }`,
    command.name,
  );
}

/** The moment in an option, in epoch milliseconds. */
export function momentOption(
  { options, command }: Given,
  name: string,
  now: number,
): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const moment = parseMoment(text, now);
  if (moment !== undefined) return moment;
  throw new UsageError(
    `Cannot run: --${name} must be a duration such as 24h, "today", "yesterday" or a time such as ` +
      `2026-01-31T14:00, received ${describe(text)}`,
    command.name,
  );
}

/** The whole number in an option. */
export function countOption(
  { options, command }: Given,
  name: string,
  otherwise: number,
  most: number,
): number {
  const text = textOption(options, name);
  if (text === undefined) return otherwise;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= most) return count;
  throw new UsageError(
    `Cannot run: --${name} must be a whole number from 1 to ${most}, received ${describe(text)}`,
    command.name,
  );
}

/** The word in an option. */
export function wordOption<Word extends string>(
  { options, command }: Given,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = textOption(options, name);
  if (text === undefined || (words as readonly string[]).includes(text)) {
    return text as Word | undefined;
  }
  throw new UsageError(
    `Cannot run: --${name} must be ${words.join(" or ")}, received ${describe(text)}`,
    command.name,
  );
}
