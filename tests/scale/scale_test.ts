import { assert, assertEquals } from "@std/assert";
import { costOf, FLEETS, MEASURED, rowOf } from "./scale_model.ts";

const PAGE = new URL("../../docs/scale.md", import.meta.url);

/** The rows of the first table under a heading, as cells. */
function tableUnder(page: string, heading: string): string[][] {
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const [table = ""] = /(?:^\|.*\|\n)+/m.exec(section) ?? [];
  return table.trimEnd().split("\n").slice(2).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
}

Deno.test("docs/scale.md shows what the model computes", async () => {
  assertEquals(
    tableUnder(await Deno.readTextFile(PAGE), "The table"),
    FLEETS.map((fleet) => rowOf(fleet)),
  );
});

Deno.test("the model returns what was measured where that was measured", () => {
  for (const { instances, cores, walBytes } of [MEASURED.small, MEASURED.large]) {
    const cost = costOf({ ...MEASURED, instances });
    assert(Math.abs(cost.cores - cores) < 1e-9, `${cost.cores} cores`);
    assert(Math.abs(cost.walBytesPerSecond - walBytes) < 1e-3, `${cost.walBytesPerSecond} bytes`);
    assertEquals(cost.statementsPerSecond, instances * MEASURED.statements);
  }
});

Deno.test("docs/scale.md names every figure that was measured", async () => {
  const page = await Deno.readTextFile(PAGE);
  const [, section = ""] = page.split("\n## What was measured\n");
  const { small, large, statements, refresh, refreshWith100, flush, rowBytes } = MEASURED;
  const figures = [
    ...[small, large].map(({ cores }) => `${cores} cores`),
    `${small.walBytes / 1e3} kB`,
    `${(large.walBytes / 1e6).toFixed(1)} MB`,
    `${statements}`,
    `${Math.round(refresh * 1e6)} µs`,
    `${Math.round(refreshWith100 * 1e6)} µs`,
    `${flush * 1e3} ms`,
    `${rowBytes.toLocaleString("en")} bytes`,
  ];
  assertEquals(figures.filter((figure) => !section.includes(figure)), []);
});
