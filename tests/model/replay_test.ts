/**
 * The models are true to the code: traces that spin made of them by chance do the same on the real rules
 * in memory and on the real statements. `deno task model` makes new traces and runs this test on them.
 */

import { assert, assertEquals } from "@std/assert";
import { fleetRulesOf } from "../../src/rules/voting.ts";
import { openTable } from "../support/circuit_table.ts";
import { rulesOf } from "../support/rules.ts";
import {
  constantOf,
  LEASE_MS,
  memoryTarget,
  parseTraces,
  ProbingReplay,
  RESET_MS,
  tableTarget,
  type Trace,
} from "./replay.ts";
import { VotingReplay } from "./voting_replay.ts";

const FOLDER = Deno.env.get("MODEL_TRACES");

async function tracesOf(model: string): Promise<Trace[]> {
  const path = FOLDER === undefined
    ? new URL(`traces/${model}.txt`, import.meta.url)
    : `${FOLDER}/${model}.txt`;
  return parseTraces(await Deno.readTextFile(path));
}

function probingRulesOf(trace: Trace) {
  return rulesOf({
    trip: "caller",
    resetTimeoutMs: RESET_MS,
    probeTimeoutMs: LEASE_MS,
    halfOpenMax: constantOf(trace, "HALF_OPEN_MAX"),
    successThreshold: constantOf(trace, "SUCCESSES"),
  });
}

/** Each kind of step must occur, or the traces prove little. */
function assertHasAll(traces: Trace[], kinds: string[]): void {
  const met = new Set(traces.flatMap(({ steps }) => steps.map(({ what }) => what)));
  assertEquals([...met].sort(), kinds.sort());
}

const PROBING = ["CLAIM", "SETTLE", "TICK", "TRIP", "FORCE_OPEN", "FORCE_CLOSED", "RELEASE"];

Deno.test("traces of probing.pml do the same in memory", async () => {
  const traces = await tracesOf("probing");
  assertHasAll(traces, [...PROBING, "EXPIRY", "RESET", "CLOSE", "PRUNE"]);
  for (const trace of traces) {
    const rules = probingRulesOf(trace);
    await new ProbingReplay(trace, (now) => memoryTarget(rules, now)).run();
  }
});

Deno.test("traces of probing.pml do the same in the table", async () => {
  await using opened = await openTable();
  for (const [place, trace] of (await tracesOf("probing")).entries()) {
    const rules = probingRulesOf(trace);
    const target = (now: () => number) => tableTarget(opened, `api ${place}`, rules, now);
    await new ProbingReplay(trace, target).run();
  }
});

Deno.test("traces of voting.pml do the same in the table", async () => {
  const rules = fleetRulesOf(
    rulesOf({ quorum: 2, failureThreshold: 3, resetTimeoutMs: RESET_MS, probeTimeoutMs: LEASE_MS }),
  );
  await using opened = await openTable({ rules });
  const traces = await tracesOf("voting");
  assertHasAll(traces, [
    ...["VOTE", "WITHDRAW", "CLOSED", "EXPIRE", "FORCE_OPEN", "FORCE_CLOSED", "RELEASE", "RESET"],
  ]);
  for (const [place, trace] of traces.entries()) {
    await new VotingReplay(trace, opened, rules, `api ${place}`).run();
  }
});

Deno.test("a trace that the code does not follow fails", async () => {
  const [trace] = await tracesOf("probing");
  for (const [place, { what, numbers }] of trace!.steps.entries()) {
    if (what === "TICK" || what === "EXPIRY" || what === "PRUNE") continue;
    const steps = structuredClone(trace!.steps);
    // Another count of probes than the real one.
    steps[place]!.numbers[numbers.length - 2]!++;
    const rules = probingRulesOf(trace!);
    const replay = new ProbingReplay({ ...trace!, steps }, (now) => memoryTarget(rules, now));
    let message = "";
    await replay.run().catch((error: Error) => message = error.message);
    assert(message.includes(`step ${place + 1}`), `step ${place + 1} was not noticed: ${message}`);
  }
});
