import { assert, assertEquals } from "@std/assert";
import { countStatements } from "../../scripts/bench/stale_statements.ts";
import { Stage } from "../../scripts/bench/stage.ts";

Deno.test("countStatements counts what a busy instance costs its database", async () => {
  await using stage = await Stage.open();
  const window = { maxStalenessMs: 200, intervals: 5 };
  for (const load of [{ kind: "gateway", circuits: 10 }, { kind: "denied" }] as const) {
    const { figures, verdicts } = await countStatements(stage, load, window);
    assert(figures.intervals as number >= 5);
    assert(figures.rate as number > 1000);
    // A slow answer lets the next refresh begin early, after half of the bound at the earliest.
    const client = figures.client as number;
    assert(client > 0.5 && client < 2.5, `${client} statements`);
    assertEquals(verdicts[0]!.required, "at most 1.20 per 200 ms");
  }
});
