import { loadStoma } from "../../tests/support/stoma.ts";
import { rowsLabel } from "./bars.ts";
import type { Contender, ContenderName } from "./contenders.ts";
import { CALLS_PER_REQUEST, operateGateway } from "./gateway_load.ts";
import { callsOf, circuitKey, Generator, type Operate, operate } from "./load.ts";
import type { Leftovers, Subject } from "./measure.ts";
import { ProcessGroup } from "./process_load.ts";
import {
  type GatewayScenario,
  PROCESSES,
  type ProcessesScenario,
  ROWS,
  type RowsScenario,
  type Scenario,
  type StoreScenario,
} from "./scenarios.ts";
import type { Stage } from "./stage.ts";

/** The subjects of one load. Disposal ends what was started for it. */
export interface Cast extends AsyncDisposable {
  subjects: Subject[];
  callsPerOperation: number;
}

type Counter = (recorded: number) => Promise<number>;

/** Prepares every contender for a load: its table holds the load's circuits and nothing else. */
export async function prepare(
  stage: Stage,
  scenario: Scenario,
  only: readonly ContenderName[],
): Promise<Cast> {
  if (scenario.kind === "rows") return await prepareRows(stage, scenario);
  const contenders = scenario.contenders.filter((name) => stage.has(name) && only.includes(name));
  const circuits = scenario.kind === "gateway" ? 1 : scenario.circuits;
  for (const name of contenders) await stage.database(name)?.fill(circuits);
  await stage.database("ours")!.checkpoint();
  switch (scenario.kind) {
    case "store":
      return await prepareStores(stage, scenario, contenders);
    case "processes":
      return await prepareProcesses(stage, scenario, contenders);
    case "gateway":
      return await prepareGateways(stage, scenario, contenders);
  }
}

async function prepareStores(
  stage: Stage,
  scenario: StoreScenario,
  contenders: ContenderName[],
): Promise<Cast> {
  const subjects: Subject[] = [];
  for (const name of contenders) {
    const contender = await stage.contender(name);
    const successes = await counter(stage, contender, scenario.circuits);
    const operation = operate(contender.target, scenario);
    const recorded = scenario.operation === "read" ? undefined : successes;
    subjects.push(subjectOf(stage, contender, name, operation, scenario.inFlight, recorded));
  }
  return cast(subjects, callsOf(scenario.operation));
}

async function prepareGateways(
  stage: Stage,
  scenario: GatewayScenario,
  contenders: ContenderName[],
): Promise<Cast> {
  const stoma = await loadStoma(stage.gatewayPath);
  const subjects: Subject[] = [];
  for (const name of contenders) {
    const contender = await stage.contender(name);
    const successes = await counter(stage, contender, 1);
    const operation = await operateGateway(stoma, contender.store!);
    subjects.push(subjectOf(stage, contender, name, operation, scenario.inFlight, successes));
  }
  return cast(subjects, CALLS_PER_REQUEST);
}

async function prepareRows(stage: Stage, scenario: RowsScenario): Promise<Cast> {
  const subjects: Subject[] = [];
  for (const rows of ROWS) {
    const contender = await stage.filled(rows);
    const circuits = ROWS[0];
    const operation = operate(contender.target, { ...scenario, circuits, spread: rows / circuits });
    const subject = subjectOf(stage, contender, rowsLabel(rows), operation, scenario.inFlight);
    subjects.push({ ...subject, leftovers: () => Promise.resolve({}) });
  }
  return cast(subjects, callsOf(scenario.operation));
}

async function prepareProcesses(
  stage: Stage,
  scenario: ProcessesScenario,
  contenders: ContenderName[],
): Promise<Cast> {
  const endpoints = contenders.map((name) => stage.endpoint(name));
  const group = await ProcessGroup.start(PROCESSES, endpoints);
  const subjects: Subject[] = [];
  for (const name of contenders) {
    const load = group.load(name, scenario);
    const successes = await counter(stage, await stage.contender(name), scenario.circuits);
    subjects.push({
      label: name,
      contender: name,
      get latencies() {
        return load.latencies;
      },
      statements: () => load.statements,
      serverCpu: () => stage.serverCpu(name),
      warmUp: (seconds) => load.warmUp(seconds),
      round: (seconds) => load.round(seconds),
      leftovers: (operations) => leftovers(stage, name, operations, successes),
    });
  }
  return {
    ...cast(subjects, callsOf(scenario.operation)),
    [Symbol.asyncDispose]: () => group[Symbol.asyncDispose](),
  };
}

function cast(subjects: Subject[], callsPerOperation: number): Cast {
  return { subjects, callsPerOperation, [Symbol.asyncDispose]: () => Promise.resolve() };
}

function subjectOf(
  stage: Stage,
  contender: Contender,
  label: string,
  operation: Operate,
  inFlight: number,
  successes?: Counter,
): Subject {
  const generator = new Generator(operation, inFlight);
  return {
    label,
    contender: contender.name,
    latencies: generator.latencies,
    statements: contender.statements,
    serverCpu: () => stage.serverCpu(contender.name),
    warmUp: (seconds) => generator.warmUp(seconds),
    round: (seconds) => generator.round(seconds),
    leftovers: (operations) => leftovers(stage, contender.name, operations, successes),
  };
}

/** The table's size, and the share of recorded successes that it lacks, from all processes. */
async function leftovers(
  stage: Stage,
  name: ContenderName,
  recorded: number,
  successes: Counter | undefined,
): Promise<Leftovers> {
  const lost = successes && recorded > 0 ? 1 - await successes(recorded) / recorded : undefined;
  const facts = await stage.database(name)?.facts();
  return { tableBytes: facts?.bytes, deadRows: facts?.deadRows, lost };
}

/** Counts the successes that a contender comes to know of from now on, given how many to expect. */
async function counter(
  stage: Stage,
  contender: Contender,
  circuits: number,
): Promise<Counter> {
  const count = async () => {
    const facts = await stage.database(contender.name)?.facts();
    if (facts !== undefined) return facts.successes;
    let successes = 0;
    for (let index = 0; index < circuits; index++) {
      const snapshot = await contender.target.getState(circuitKey(index));
      successes += (snapshot as { successCount: number }).successCount;
    }
    return successes;
  };
  const before = await count();
  const deadline = contender.countsWithinMs === undefined ? 0 : 2 * contender.countsWithinMs;
  return async (recorded) => {
    // Successes that were acknowledged before they were counted are not in the table yet.
    const until = performance.now() + deadline;
    let counted = await count() - before;
    while (counted < recorded && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      counted = await count() - before;
    }
    return counted;
  };
}
