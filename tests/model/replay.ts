/** Replays traces of the models on the real stores. A trace is what a random simulation of spin printed. */

import { assert, assertEquals } from "@std/assert";
import type { Circuit, Round } from "../../src/circuit.ts";
import type { CircuitRules } from "../../src/options/store_options.ts";
import type { PermitOutcome } from "../../src/permit.ts";
import { MemoryCircuits } from "../../src/rules/memory_circuits.ts";
import { STATE_CODES } from "../../src/rules/state.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
import type { CircuitState } from "../../mod.ts";
import { demand, type OpenTable } from "../support/circuit_table.ts";

/** One line of a trace: what a statement did, and the row after it. */
export interface Step {
  what: string;
  numbers: number[];
}

export interface Trace {
  /** The constants that the model was compiled with, and the seed. */
  title: string;
  steps: Step[];
}

/** Reads traces: each begins with a line `# title`. */
export function parseTraces(text: string): Trace[] {
  return text.split(/^# /m).slice(1).map((part) => {
    const [title, ...lines] = part.trim().split("\n");
    const steps = lines.map((line) => {
      const [what, ...numbers] = line.trim().split(" ");
      return { what: what!, numbers: numbers.map(Number) };
    });
    return { title: title!, steps };
  });
}

/** The constant of a trace's title. */
export function constantOf({ title }: Trace, name: string): number {
  return Number(new RegExp(`\\b${name}=(\\d+)`).exec(title)?.[1] ?? 1);
}

export const RESET_MS = 1000;
export const LEASE_MS = 5000;
const START = 1_000_000_000;
const LONG_MS = 1_000_000_000;
const ACT = { reason: undefined, actor: undefined };

/** What a replay needs of circuits in memory or in a table. `undefined` is a circuit without a row. */
export interface Target {
  claim(instance: number, patienceMs: number): Promise<[isAdmitted: boolean, Circuit | undefined]>;
  settle(outcome: PermitOutcome, round: Round): Promise<Circuit | undefined>;
  transition(to: CircuitState): Promise<Circuit | undefined>;
  force(state: "open" | "closed" | undefined, forMs?: number): Promise<Circuit | undefined>;
  reset(): Promise<Circuit | undefined>;
  prune(): Promise<number>;
}

/** Circuits in memory. */
export function memoryTarget(rules: CircuitRules, now: () => number): Target {
  const circuits = new MemoryCircuits(rules, now, "local");
  const call = IMMEDIATE_CALL;
  return {
    async claim(_instance, patienceMs) {
      const { isAdmitted, circuit } = await circuits.claim(call, "api", patienceMs);
      return [isAdmitted, circuit];
    },
    settle: async (outcome, round) => (await circuits.settle(call, "api", outcome, round)).circuit,
    transition: async (to) => (await circuits.transition(call, "api", to)).circuit,
    force: async (state, forMs) =>
      (await circuits.force(call, "api", { state, forMs, ...ACT })).circuit,
    reset: async () => (await circuits.reset(call, "api", ACT)).circuit,
    prune: () => circuits.prune(call, { idleMs: 0, limit: 1000, isElected: false }),
  };
}

/** A circuit of a table, with a table object for each instance. */
export function tableTarget(
  opened: OpenTable,
  key: string,
  rules: CircuitRules,
  now: () => number,
): Target {
  const [first, ...others] = ["a", "b", "c"].map((actor) => opened.another({ actor, rules, now }));
  const tables = [first!, ...others];
  return {
    async claim(instance, patienceMs) {
      const [claimed] = await tables[instance]!.claim([{ key, wanted: 1, patienceMs }], demand());
      return [claimed?.granted === 1, claimed];
    },
    settle: (outcome, round) => first!.settle(key, outcome, round, demand()),
    transition: async (to) => (await first!.transition([key], to, demand()))[0],
    force: (state, forMs) => first!.force(key, { state, forMs, ...ACT }, demand()),
    reset: () => first!.reset(key, ACT, demand()),
    prune: () => first!.prune({ idleMs: 0, limit: 1000, isElected: false }, demand()),
  };
}

const OUTCOMES: readonly PermitOutcome[] = ["success", "failure", "ignored"];

/** Does the steps of a trace of probing.pml. Fails where the row becomes another than the model's. */
export class ProbingReplay {
  at: number = START;
  readonly #trace: Trace;
  readonly #target: Target;
  /** The real version for each of the model, and the round that was claimed with it. */
  readonly #versions = new Map<number, number>([[0, 0]]);
  readonly #rounds = new Map<number, Round>();
  #last: Circuit | undefined;
  #age = 0;

  constructor(trace: Trace, target: (now: () => number) => Target) {
    this.#trace = trace;
    this.#target = target(() => this.at);
  }

  async run(): Promise<void> {
    for (const [place, step] of this.#trace.steps.entries()) {
      const where = `${this.#trace.title}, step ${place + 1}: ${step.what} ${step.numbers}`;
      const after = await this.#do(step, place, where);
      if (after !== "not asked") this.#compare(after, step.numbers.slice(-4), where);
    }
  }

  async #do(
    { what, numbers }: Step,
    place: number,
    where: string,
  ): Promise<Circuit | undefined | "not asked"> {
    const target = this.#target;
    switch (what) {
      case "CLAIM": {
        const [instance, patience, isAdmitted, , version] = numbers;
        const [admitted, circuit] = await target.claim(instance!, patience! * LEASE_MS);
        assertEquals(admitted, isAdmitted === 1, where);
        if (admitted) {
          this.#age = 0;
          this.#rounds.set(version!, circuit!);
        }
        return circuit;
      }
      case "SETTLE": {
        const [, outcome, fence] = numbers;
        return await target.settle(OUTCOMES[outcome!]!, this.#rounds.get(fence!)!);
      }
      case "TICK":
        this.at = this.#timeAfterTicks(1);
        this.#age++;
        return "not asked";
      case "EXPIRY":
        this.at++;
        return "not asked";
      case "TRIP":
        this.#age = 0;
        return await target.transition("open");
      case "CLOSE":
        return await target.transition("closed");
      case "FORCE_OPEN":
        return await target.force("open", this.#forcedForMs(place));
      case "FORCE_CLOSED":
        return await target.force("closed", this.#forcedForMs(place));
      case "RELEASE":
        return await target.force(undefined);
      case "RESET":
        return await target.reset();
      case "PRUNE":
        this.at += LONG_MS;
        assert(await target.prune() > 0, where);
        this.#last = undefined;
        return "not asked";
    }
    throw new Error(`No such step: ${where}`);
  }

  #compare(circuit: Circuit | undefined, expected: number[], where: string): void {
    const [state, version, count, settled] = expected;
    const before = this.#last;
    if (circuit?.state === "open" && before?.state !== "open") this.#age = 0;
    this.#last = circuit;
    assertEquals(
      [circuit?.state ?? "closed", circuit?.probeCount ?? 0, circuit?.details.probeSettled ?? 0],
      [STATE_CODES[state!], count, settled],
      where,
    );
    const real = circuit?.version ?? 0;
    const known = this.#versions.get(version!);
    if (known !== undefined) return assertEquals(real, known, `${where}: version`);
    const highest = Math.max(...this.#versions.values());
    assert(real > highest, `${where}: version ${real} is not above ${highest}`);
    this.#versions.set(version!, real);
  }

  /** The next moments at which the lease or the reset timeout is over, and one more lease. */
  #timeAfterTicks(ticks: number): number {
    if (ticks === 0) return this.at;
    const { state, probeExpiresAt, lastStateChange } = this.#last!;
    const due = state === "open" ? lastStateChange + RESET_MS : probeExpiresAt;
    return Math.max(this.at, this.#age + ticks === 1 ? due : due + LEASE_MS);
  }

  /** For how long a state is forced that the trace lets end by its time. */
  #forcedForMs(place: number): number | undefined {
    const rest = this.#trace.steps.slice(place + 1);
    const end = rest.findIndex(({ what }) => /^(EXPIRY|RELEASE|RESET|FORCE_\w+)$/.test(what));
    if (rest[end]?.what !== "EXPIRY") return undefined;
    const ticks = rest.slice(0, end).filter(({ what }) => what === "TICK").length;
    return this.#timeAfterTicks(ticks) - this.at + 1;
  }
}
