import { assertEquals, assertThrows } from "@std/assert";
import { countOption, parseCommandLine } from "../../src/cli/arguments.ts";
import type { Given } from "../../src/cli/command.ts";
import { COMMANDS } from "../../src/cli/run.ts";
import { UsageError } from "../../src/cli/usage_error.ts";

function parse(line: string) {
  return parseCommandLine(line.split(" ").filter((word) => word !== ""), COMMANDS);
}

function given(line: string): [string, object, string | undefined] {
  const { command, options, key } = parse(line) as Given;
  return [command.name, options, key];
}

Deno.test("parseCommandLine() takes options in any place and both forms", () => {
  assertEquals(given("list"), ["list", {}, undefined]);
  assertEquals(given("--json list --state=open"), [
    "list",
    { json: true, state: "open" },
    undefined,
  ]);
  assertEquals(given("open --reason x pay --for 10m"), [
    "open",
    { reason: "x", for: "10m" },
    "pay",
  ]);
  assertEquals(given("show -- --help"), ["show", {}, "--help"]);
  assertEquals(given("list --url a --url b"), ["list", { url: "b" }, undefined]);
});

Deno.test("parseCommandLine() answers requests for help and the version", () => {
  assertEquals(parse("--help"), { kind: "help" });
  assertEquals(parse("help"), { kind: "help" });
  for (const line of ["--version", "list --version"]) {
    assertEquals(parse(line), { kind: "version" }, line);
  }
  for (const line of ["help list", "list --help", "list -h"]) {
    const request = parse(line) as { kind: string; command: { name: string } };
    assertEquals([request.kind, request.command.name], ["help", "list"], line);
  }
});

Deno.test("parseCommandLine() names the near word", () => {
  const near: [line: string, word: string][] = [
    ["lst", "list"],
    ["lits", "list"],
    ["histroy", "history"],
    ["rel", "release"],
    ["opne x", "open"],
    ["instnces", "instances"],
    ["list --stat open", "--state"],
    ["list --jsn", "--json"],
    ["open x --resaon y", "--reason"],
  ];
  for (const [line, word] of near) {
    const { message } = assertThrows(() => parse(line), UsageError) as Error;
    assertEquals(/did you mean "(.*)"\?$/.exec(message)?.[1], word, message);
  }
});

Deno.test("parseCommandLine() refuses what would otherwise be ignored", () => {
  const wrong: [line: string, message: string][] = [
    ["", "Cannot run: no command is given"],
    ["frobnicate", 'Cannot run: there is no command "frobnicate"'],
    ["list --color", 'Cannot run: list has no option "--color"'],
    ["list --json=yes", "Cannot run: --json takes no value"],
    ["list --state", "Cannot run: --state needs a value, write --state=STATE"],
    ["list --state --json", "Cannot run: --state needs a value, write --state=STATE"],
    ["list payments", "Cannot run: list takes no key"],
    ["show", "Cannot run: show needs the key of a circuit"],
    ["show a b", "Cannot run: show takes one key, received 2 words: put quotes around it"],
    [
      "show -x",
      'Cannot run: show has no option "-x"; before a key that begins with "-", write --',
    ],
    [
      "show --constructor",
      'Cannot run: show has no option "--constructor"; before a key that begins with "-", write --',
    ],
  ];
  for (const [line, expected] of wrong) {
    const { message } = assertThrows(() => parse(line), UsageError) as Error;
    assertEquals(message, expected);
  }
});

Deno.test("parseCommandLine() suggests nothing for an empty word", () => {
  const { message } = assertThrows(() => parseCommandLine([""], COMMANDS), UsageError) as Error;
  assertEquals(message, "Cannot run: there is no command of that name (an empty string)");
});

Deno.test("countOption() takes whole numbers within its bound and nothing else", () => {
  const count = (text: string) =>
    countOption(parse(`list --limit ${text}`) as Given, "limit", 5, 99);
  assertEquals(countOption(parse("list") as Given, "limit", 5, 99), 5);
  assertEquals([count("1"), count("099")], [1, 99]);
  for (const text of ["0", "100", "1e1", "1.5", "-1", "ten", "9999999999"]) {
    assertThrows(() => count(text), UsageError, "must be a whole number from 1 to 99", text);
  }
});

Deno.test("parseCommandLine() repeats no text that can hold a secret", () => {
  const secret = "postgres://user:hunter2@db/app";
  for (
    const args of [[secret], ["list", `--${secret}`], ["list", `--ulr=${secret}`], ["list", secret]]
  ) {
    const { message } = assertThrows(() => parseCommandLine(args, COMMANDS), UsageError) as Error;
    assertEquals(message.includes("hunter2"), false, message);
  }
});
