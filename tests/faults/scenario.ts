import { assertEquals } from "@std/assert";
import { type PostgresServer, startPostgres } from "../support/postgres_server.ts";
import { bundleStoma, type StomaBundle } from "../support/stoma.ts";
import { Stage, type StageOptions } from "./stage.ts";
import { countProblems, type CountRow, loadProblems } from "./verdict.ts";

/** What happens to the database, and what of it the stores are to notice. */
export interface Scenario {
  /**
   * Breaks something, waits, and repairs it: the database is back when it ends.
   */
  fault(stage: Stage): Promise<void>;
  /** Errors, by class and SQLSTATE, that must come in throw mode. */
  expects?: readonly string[];
  /** Errors that may come beside them. */
  allows?: readonly string[];
  /** How often each store may notice an outage: at least and at most. */
  outages?: readonly [number, number];
  /**
   * Whether counts that were acknowledged survive, which a dropped table does not let them.
   *
   * @default {true}
   */
  keepsCounts?: boolean;
  /** What differs on the stage. */
  stage?: Pick<StageOptions, "drivers" | "isDirect" | "load">;
  /** Settings of a server of the scenario's own. */
  settings?: Record<string, string>;
}

/** Makes a test of each scenario. They share a server, which the next one finds as it was left. */
export function testScenarios(scenarios: Record<string, Scenario>): void {
  let bundle: StomaBundle;
  let server: PostgresServer;
  Deno.test.beforeAll(async () => {
    [bundle, server] = await Promise.all([bundleStoma(), startPostgres()]);
  });
  Deno.test.afterAll(async () => {
    await Promise.all([bundle[Symbol.asyncDispose](), server.stop()]);
  });
  for (const [name, scenario] of Object.entries(scenarios)) {
    Deno.test(name, async () => {
      if (scenario.settings === undefined) return await play(server, bundle.gatewayPath, scenario);
      await using own = await startPostgres({ settings: scenario.settings });
      await play(own, bundle.gatewayPath, scenario);
    });
  }
}

/** Plays a scenario on a server, and checks everything that holds in all of them. */
async function play(
  server: PostgresServer,
  stomaPath: string,
  scenario: Scenario,
): Promise<void> {
  await using stage = await Stage.open({ server, stomaPath, ...scenario.stage });
  await stage.each(({ load }) => load.begin("during"));
  await scenario.fault(stage);
  const recovered = await stage.each(({ load }) => load.recover());
  await stage.phase("after");
  await using sql = stage.connect();
  const results = await stage.each(async (player, index) => {
    const { afterMs, noiseMs } = recovered[index]!;
    return { ...player, ...await player.load.stop(), recoveredAfterMs: afterMs - noiseMs };
  });
  const rows = await sql<CountRow[]>`
    select key, failure_count::int as failures, success_count::int as successes
    from stoma_circuit_breakers`;
  const found: string[] = [];
  for (const result of results) {
    for (const problem of loadProblems(result, scenario)) {
      found.push(`${result.load.name}: ${problem}`);
    }
  }
  found.push(...countProblems(results, rows, scenario.keepsCounts ?? true));
  assertEquals(found, []);
}
