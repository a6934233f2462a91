import { assertEquals } from "@std/assert";
import { type Bar, BARS } from "../../scripts/bench/bars.ts";
import { BREAKER_BARS } from "../../scripts/bench/breaker_experiments.ts";
import { EXPERIMENTS } from "../../scripts/bench/experiments.ts";
import { SCENARIOS } from "../../scripts/bench/scenarios.ts";

const PAGE = new URL("../../docs/benchmarks.md", import.meta.url);

/** The rows of the table whose first column has a title, as cells. */
async function tableOf(title: string): Promise<string[][]> {
  const page = await Deno.readTextFile(PAGE);
  const [, table = ""] = new RegExp(`^\\| ${title} +\\|.*\n\\|.*\n((?:^\\|.*\n)+)`, "m")
    .exec(page) ?? [];
  return table.trimEnd().split("\n").map((row) =>
    row.split("|").slice(1, -1).map((cell) => cell.trim())
  );
}

function rowOf(bar: Bar): string[] {
  const compared = `${bar.over} / ${bar.under}`;
  return "atLeast" in bar
    ? [bar.scenario, compared, `at least ${decimal(bar.atLeast)}`]
    : [bar.scenario, `${compared}, p99`, `at most ${decimal(bar.p99AtMost)}`];
}

function decimal(value: number): string {
  return `${Number(value.toFixed(2))}`;
}

Deno.test("docs/benchmarks.md shows the goals of the benchmark", async () => {
  assertEquals(await tableOf("load"), BARS.map(rowOf));
  assertEquals(
    await tableOf("guarded call"),
    BREAKER_BARS.map(({ over, under, atLeast }) => [over, under, `at least ${decimal(atLeast)}`]),
  );
});

Deno.test("docs/benchmarks.md names every kind of experiment", async () => {
  const named = (await tableOf("names")).flatMap(([names = ""]) => names.match(/[a-z-]+/g) ?? []);
  const isNamed = (name: string) =>
    named.some((each) => name === each || name.startsWith(`${each}-`));
  assertEquals(EXPERIMENTS.map(({ name }) => name).filter((name) => !isNamed(name)), []);
  const names = [...EXPERIMENTS, ...SCENARIOS].map(({ name }) => name);
  assertEquals(
    named.filter((each) => !names.some((name) => name === each || name.startsWith(`${each}-`))),
    [],
  );
});
