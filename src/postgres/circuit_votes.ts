import type { Circuit } from "../circuit.ts";
import type { Demand } from "./executor.ts";
import type { StatementRunner } from "./statement_runner.ts";
import type { StatementContext } from "./statements/context.ts";
import { voteStatement, withdrawStatement } from "./statements/vote.ts";

/** The votes of one instance on the circuits of a table. */
export class CircuitVotes {
  readonly #runner: StatementRunner;
  readonly #label: string;
  readonly #add: (keys: readonly string[], demand: Demand) => Promise<number>;
  readonly #statements: ReturnType<typeof statementsOf>;

  /** `add` makes rows for circuits without one. */
  constructor(
    runner: StatementRunner,
    context: StatementContext,
    label: string,
    add: (keys: readonly string[], demand: Demand) => Promise<number>,
  ) {
    this.#runner = runner;
    this.#label = label;
    this.#add = add;
    this.#statements = statementsOf(context);
  }

  /** Casts or renews the vote on a circuit. */
  async vote(key: string, demand: Demand): Promise<Circuit> {
    const vote = () => this.#runner.change(this.#statements.vote!, demand, [key], this.#label);
    const [voted] = await vote();
    if (voted !== undefined) return voted;
    await this.#add([key], demand);
    return (await vote())[0]!;
  }

  /** Takes votes back. */
  async withdraw(keys: readonly string[], demand: Demand): Promise<void> {
    await this.#runner.change(this.#statements.withdraw, demand, keys, this.#label);
  }
}

function statementsOf(context: StatementContext) {
  const { quorum } = context.rules;
  return {
    vote: quorum === undefined ? undefined : voteStatement(context, quorum),
    withdraw: withdrawStatement(context),
  };
}
