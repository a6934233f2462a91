/** That the board, the alert rules and the page of the metrics name metrics that exist, and all of them. */

import { assert, assertEquals } from "@std/assert";
import { parse } from "yaml";
import { BREAKER_FAMILIES, type Family, STORE_FAMILIES } from "../../src/metrics/families.ts";

const FAMILIES: readonly Family[] = [
  ...Object.values(STORE_FAMILIES),
  ...Object.values(BREAKER_FAMILIES),
];

/** The names of all series. */
const SERIES = new Set(
  FAMILIES.flatMap(({ prometheus, type }) =>
    type === "histogram"
      ? ["bucket", "sum", "count"].map((suffix) => `${prometheus}_${suffix}`)
      : [prometheus]
  ),
);

function read(name: string): Promise<string> {
  return Deno.readTextFile(new URL(`../../docs/${name}`, import.meta.url));
}

/** The series that an expression names. */
function seriesIn(expression: string): string[] {
  return expression.match(/circuit_breaker_\w+/g) ?? [];
}

Deno.test("names follow the habits of both ecosystems", () => {
  for (const { prometheus, opentelemetry, type, unit } of FAMILIES) {
    assert(/^circuit_breaker_[a-z_]+$/.test(prometheus), prometheus);
    assert(/^circuitbreaker(\.[a-z]+)+$/.test(opentelemetry), opentelemetry);
    assertEquals(prometheus.endsWith("_total"), type === "counter", prometheus);
    assertEquals(prometheus.includes("_seconds"), unit === "s", prometheus);
  }
  assertEquals(new Set(FAMILIES.map(({ prometheus }) => prometheus)).size, FAMILIES.length);
});

Deno.test("the board of Grafana asks for series that exist", async () => {
  const board = JSON.parse(await read("grafana.json"));
  const expressions: string[] = board.panels.flatMap((
    { targets }: { targets: { expr: string }[] },
  ) => targets.map(({ expr }) => expr));
  assertEquals(expressions.filter((each) => seriesIn(each).length === 0), []);
  const named = new Set(expressions.flatMap(seriesIn));
  assertEquals([...named].filter((name) => !SERIES.has(name)), []);
  const missing = FAMILIES.filter(({ prometheus }) =>
    ![...named].some((name) => name.startsWith(prometheus))
  );
  assertEquals(missing.map(({ prometheus }) => prometheus), []);
  const places = board.panels.map(({ gridPos: { x, w } }: { gridPos: { x: number; w: number } }) =>
    x + w <= 24
  );
  assertEquals(places.includes(false), false);
});

Deno.test("the alert rules ask for series that exist", async () => {
  const { groups } = parse(await read("alerts.yaml"));
  const rules: { alert: string; expr: string; annotations: { summary: string } }[] = groups.flatMap(
    ({ rules }: { rules: unknown[] }) => rules,
  );
  assert(rules.length >= 5);
  assertEquals(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, expr, annotations } of rules) {
    assert(seriesIn(expr).length > 0 && annotations.summary !== "", alert);
    assertEquals(seriesIn(expr).filter((name) => !SERIES.has(name)), [], alert);
  }
});

Deno.test("the page of the metrics lists each of them in both names", async () => {
  const page = await read("metrics.md");
  for (const { prometheus, opentelemetry } of FAMILIES) {
    assert(page.includes(`\`${prometheus}\``), prometheus);
    assert(page.includes(`\`${opentelemetry}\``), opentelemetry);
  }
  const named = page.match(/`circuit_breaker_\w+`/g)!.map((name) => name.slice(1, -1));
  assertEquals(named.filter((name) => !FAMILIES.some((each) => each.prometheus === name)), []);
});
