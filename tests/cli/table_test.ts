import { assert, assertEquals } from "@std/assert";
import { type Column, tableLines } from "../../src/cli/table.ts";
import { hasColors, type Output } from "../../src/cli/terminal.ts";
import { widthOf } from "../../src/cli/text.ts";
import { HOSTILE_KEYS } from "./hostile_keys.ts";

const COLUMNS: readonly Column[] = [
  { title: "STATE" },
  { title: "KEY", isKey: true, least: 12 },
  { title: "WHY", least: 5 },
  { title: "COUNT", isNumber: true, isOptional: true },
  { title: "NEXT", isOptional: true },
];

function outputOf(columns: number | undefined, withColors = false): Output {
  return { columns, hasColors: withColors, write: () => Promise.resolve() };
}

function row(key: string, why = "trip", next = "probe in 10s") {
  return [{ text: "open", color: "bad" as const }, { text: key }, { text: why }, { text: "12" }, {
    text: next,
  }];
}

Deno.test("tableLines() fit the terminal, whatever the keys, and lose columns before they lose sense", () => {
  const rows = HOSTILE_KEYS.map((key) => row(key, "a long reason for it: \n" + key));
  for (const columns of [30, 40, 60, 80, 200]) {
    const lines = tableLines(COLUMNS, rows, outputOf(columns));
    assertEquals(lines.length, rows.length + 1);
    for (const line of lines) {
      assert(widthOf(line) <= columns, `${columns}: ${JSON.stringify(line)}`);
    }
  }
  assertEquals(tableLines(COLUMNS, [row("k")], outputOf(30)), [
    "STATE  KEY  WHY   COUNT",
    "open   k    trip     12",
  ]);
});

Deno.test("tableLines() keep what is needed to act where the terminal is too narrow for it", () => {
  const key = "/api/orders/12345";
  for (const columns of [0, 5]) {
    assertEquals(tableLines(COLUMNS, [row(key, "maintenance")], outputOf(columns)), [
      "STATE  KEY           WHY",
      "open   '/api/…2345'  main…",
    ]);
  }
});

Deno.test("tableLines() without a terminal cut nothing", () => {
  const [, line] = tableLines(COLUMNS, [row("y".repeat(1000))], outputOf(undefined));
  assert(line!.includes("y".repeat(1000)));
});

Deno.test("tableLines() leave out a column that says nothing, and align by width", () => {
  assertEquals(
    tableLines(COLUMNS, [row("決済", "trip", ""), row("ab", "vote", "")], outputOf(80)),
    [
      "STATE  KEY     WHY   COUNT",
      "open   '決済'  trip     12",
      "open   ab      vote     12",
    ],
  );
});

Deno.test("tableLines() have colours only where the output has them", () => {
  const [titles, line] = tableLines(COLUMNS, [row("k")], outputOf(80, true));
  assert(titles!.startsWith("\x1b[1mSTATE"));
  assert(line!.startsWith("\x1b[31mopen\x1b[0m"));
});

Deno.test("hasColors() follows the terminal, NO_COLOR and FORCE_COLOR", () => {
  const cases: [isTerminal: boolean, env: Record<string, string>, expected: boolean][] = [
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: "1" }, false],
    [true, { NO_COLOR: "" }, true],
    [true, { TERM: "dumb" }, false],
    [false, { FORCE_COLOR: "1" }, true],
    [false, { FORCE_COLOR: "0" }, false],
    [true, { FORCE_COLOR: "0" }, false],
    [false, { FORCE_COLOR: "1", NO_COLOR: "1" }, true],
  ];
  for (const [isTerminal, env, expected] of cases) {
    assertEquals(hasColors(isTerminal, env), expected, JSON.stringify([isTerminal, env]));
  }
});
