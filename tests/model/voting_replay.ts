/** Replays traces of voting.pml on the statements of the table. */

import { assertEquals } from "@std/assert";
import type { CircuitRules } from "../../src/options/store_options.ts";
import type { CircuitTable } from "../../src/postgres/circuit_table.ts";
import { VOTE_STANDS_MS } from "../../src/rules/voting.ts";
import { demand, type OpenTable } from "../support/circuit_table.ts";
import { RESET_MS, type Step, type Trace } from "./replay.ts";

const LABELS = ["a", "b", "c"];
const START = 1_000_000_000;
const ACT = { forMs: undefined, reason: undefined, actor: undefined };

interface Row {
  state: string;
  labels: string[] | null;
  seen: number[] | null;
  voters: string[] | null;
  muted: string[] | null;
}

/** Does the steps of a trace. Fails where the row becomes another than the model's. */
export class VotingReplay {
  at: number = START;
  readonly #trace: Trace;
  readonly #opened: OpenTable;
  readonly #key: string;
  readonly #tables: readonly CircuitTable[];

  constructor(trace: Trace, opened: OpenTable, rules: CircuitRules, key: string) {
    this.#trace = trace;
    this.#opened = opened;
    this.#key = key;
    const now = () => this.at;
    this.#tables = LABELS.map((actor) => opened.another({ actor, rules, now }));
  }

  async run(): Promise<void> {
    for (const [place, step] of this.#trace.steps.entries()) {
      await this.#do(step);
      const [state, ...sets] = step.numbers.slice(1);
      const expected = [state === 1 ? "open" : "closed", ...sets.map(labelsOf)];
      const where = `${this.#trace.title}, step ${place + 1}: ${step.what} ${step.numbers}`;
      assertEquals(await this.#row(), expected, where);
    }
  }

  async #do({ what, numbers: [instance] }: Step): Promise<void> {
    const table = this.#tables[instance!]!;
    const key = this.#key;
    switch (what) {
      case "VOTE":
        return void await table.votes.vote(key, demand());
      case "WITHDRAW":
        return void await table.votes.withdraw([key], demand());
      case "CLOSED": {
        this.at += RESET_MS;
        const [claimed] = await table.claim([{ key, wanted: 1, patienceMs: 0 }], demand());
        assertEquals(claimed!.granted, 1);
        return void await table.settle(key, "success", claimed!, demand());
      }
      case "EXPIRE":
        this.at += VOTE_STANDS_MS;
        return;
      case "FORCE_OPEN":
        return void await table.force(key, { state: "open", ...ACT }, demand());
      case "FORCE_CLOSED":
        return void await table.force(key, { state: "closed", ...ACT }, demand());
      case "RELEASE":
        return void await table.force(key, { state: undefined, ...ACT }, demand());
      case "RESET":
        return void await table.reset(key, ACT, demand());
    }
    throw new Error(`No such step: ${what}`);
  }

  /** The state, the votes that stand, those who opened the circuit, and those who are muted. */
  async #row(): Promise<[string, ...string[][]]> {
    const [found] = await this.#opened.sql`
      select json_build_object('state', state, 'labels', vote_labels, 'seen', vote_seen,
        'voters', voters, 'muted', muted)::text as row
      from stoma_circuit_breakers where key = ${this.#key}`;
    if (found === undefined) return ["closed", [], [], []];
    const { state, labels, seen, voters, muted } = JSON.parse(found.row) as Row;
    const standing = (labels ?? []).filter((_, i) => this.at - seen![i]! < VOTE_STANDS_MS);
    return [state, ...[standing, voters ?? [], muted ?? []].map((set) => set.toSorted())];
  }
}

/** A set of instances, as the model's bits. */
function labelsOf(bits: number): string[] {
  return LABELS.filter((_, i) => (bits >> i & 1) === 1);
}
