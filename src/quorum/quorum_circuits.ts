import type { Circuit, Round, Vote } from "../circuit.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
import type { CircuitRules } from "../options/store_options.ts";
import type { PermitOutcome } from "../permit.ts";
import type {
  Admin,
  Answer,
  Calls,
  ClaimAnswer,
  KnownCalls,
  ListedCircuit,
  PruneRequest,
  Votes,
} from "../ports.ts";
import { effectiveState, forcedAt } from "../rules/forcing.ts";
import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import type { CircuitState } from "../types.ts";
import { type Ballot, Ballots } from "./ballots.ts";
import { OwnCircuits } from "./own_circuits.ts";

/** What the circuits of a quorum need. */
export interface QuorumOptions {
  readonly rules: CircuitRules;
  /** The label of this instance. */
  readonly label: string;
  /** The clock that decides, as far as this instance knows it. */
  readonly now: () => number;
  readonly deadlines: CallDeadlines;
  /** What memory answers of the fleet's circuits, where it answers anything. */
  readonly quick?: KnownCalls | undefined;
}

/**
 * Judges circuits by the results of this instance alone, and votes for opening those that are due. Every
 * result also goes to the fleet's circuit, which only votes open.
 *
 * States of a circuit for this instance: with the fleet; open for itself (open or half-open by its own
 * results); opened by the fleet.
 * - The own results make a rule due: with the fleet -> open for itself. The instance votes.
 * - An own probe succeeds, or a caller closes the circuit: open for itself -> with the fleet. The instance
 *   withdraws its vote.
 * - The fleet's circuit opens, or was zeroed since: to opened by the fleet, or with it. The own circuit is
 *   cleared, so that its probes and late results change nothing.
 * - The fleet's circuit closes: opened by the fleet -> with the fleet.
 *
 * A round of the own circuit has a negative version, so that it is settled there and not in the fleet's.
 */
export class QuorumCircuits implements Calls, Admin {
  readonly #fleet: Calls & Admin & Votes;
  readonly #own: OwnCircuits;
  readonly #ballots: Ballots;
  /** Whether a success can make a rule due. */
  readonly #hasRates: boolean;

  /** What memory answers without waiting, where it answers anything. */
  readonly quick: KnownCalls | undefined;

  constructor(fleet: Calls & Admin & Votes, options: QuorumOptions) {
    const { rules, label, now, deadlines, quick } = options;
    this.#fleet = fleet;
    this.#own = new OwnCircuits(rules, now);
    this.#hasRates = rules.trip.rates !== undefined;
    this.#ballots = new Ballots({
      votes: fleet,
      label,
      now,
      deadlines,
      onAnswer: (ballot, answer) => this.#follow(ballot, answer),
    });
    // A circuit of which this instance has judged results can be open for itself.
    this.quick = quick && {
      known: (key) => this.#ballots.get(key) === undefined ? quick.known(key) : "unknown",
      countSuccess: (key, isSlow) =>
        !this.#hasRates && this.#ballots.get(key) === undefined && quick.countSuccess(key, isSlow),
    };
  }

  async read(call: Call, key: string): Promise<Answer> {
    return await this.#shown(call, key, await this.#fleet.read(call, key));
  }

  recordSuccess(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    // Without rates, only a circuit that has failed needs its successes.
    const isJudged = this.#hasRates || this.#ballots.get(key) !== undefined;
    return this.#record(
      call,
      key,
      () => this.#fleet.recordSuccess(call, key, isSlow),
      isJudged ? () => this.#own.recordSuccess(call, key, isSlow) : undefined,
    );
  }

  recordFailure(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    return this.#record(
      call,
      key,
      () => this.#fleet.recordFailure(call, key, isSlow),
      () => this.#own.recordFailure(call, key, isSlow),
    );
  }

  /**
   * A caller opens nothing: where the own results are due, the circuit is open for this instance already,
   * and it has voted.
   */
  async transition(call: Call, key: string, to: CircuitState): Promise<Answer> {
    if (to === "open") return await this.read(call, key);
    const answer = await this.#fleet.transition(call, key, to);
    const ballot = this.#ballots.get(key);
    if (ballot === undefined) return answer;
    this.#follow(ballot, answer);
    if (to === "closed") {
      this.#own.forget(key);
      await this.#ballots.close(ballot, call);
    }
    return answer;
  }

  async claim(call: Call, key: string, patienceMs: number): Promise<ClaimAnswer> {
    const ballot = this.#ballots.get(key);
    if (ballot?.isOpen) {
      const answer = await this.#own.claim(call, key, patienceMs);
      this.#ballots.renew(ballot);
      return { ...answer, ...marked(answer) };
    }
    const answer = await this.#fleet.claim(call, key, patienceMs);
    if (ballot !== undefined) this.#follow(ballot, answer);
    return answer;
  }

  async settle(call: Call, key: string, outcome: PermitOutcome, round: Round): Promise<Answer> {
    if (round.version >= 0) {
      return await this.#shown(call, key, await this.#fleet.settle(call, key, outcome, round));
    }
    const own = { ...round, version: -round.version };
    const answer = await this.#own.settle(call, key, outcome, own);
    const ballot = this.#ballots.findOrAdd(key);
    const isOpen = !isClosed(answer.circuit);
    if (ballot.isOpen && !isOpen) await this.#ballots.close(ballot, call);
    // A late result can make a closed circuit due to open.
    if (isOpen && !ballot.isOpen) await this.#ballots.open(ballot, call);
    return marked(answer);
  }

  async readMany(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    const circuits = await this.#fleet.readMany(call, keys);
    const found = new Map(circuits.map((circuit) => [circuit.key, circuit]));
    for (const key of keys) {
      const circuit = found.get(key);
      if (!this.#ballots.get(key)?.isOpen || !isClosed(circuit) || isForced(circuit)) continue;
      const own = marked(await this.#own.read(call, key)).circuit;
      if (own !== undefined) found.set(key, own);
    }
    return [...found.values()];
  }

  list(call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]> {
    return this.#fleet.list(call, options);
  }

  async force(call: Call, key: string, force: Force): Promise<Answer> {
    const answer = await this.#fleet.force(call, key, force);
    const ballot = this.#ballots.get(key);
    if (ballot !== undefined) this.#follow(ballot, answer);
    return answer;
  }

  async reset(call: Call, key: string, act: Act): Promise<Answer> {
    const answer = await this.#fleet.reset(call, key, act);
    const ballot = this.#ballots.get(key);
    if (ballot !== undefined) this.#clear(ballot);
    return answer;
  }

  prune(call: Call, request: PruneRequest): Promise<number> {
    return this.#fleet.prune(call, request);
  }

  /** Withdraws the votes of this instance, and sends no more. Never rejects. */
  end(call: Call): Promise<void> {
    return this.#ballots.end(call);
  }

  /** Counts a result for the fleet, and for this instance where it is to be judged. */
  async #record(
    call: Call,
    key: string,
    recordForFleet: () => Promise<Answer<Circuit>>,
    recordOwn: (() => Promise<Answer<Circuit>>) | undefined,
  ): Promise<Answer<Circuit>> {
    let answer: Answer<Circuit>;
    try {
      answer = await recordForFleet();
    } catch (error) {
      // The instance knows its own result all the same. The next call sends the vote.
      if (recordOwn !== undefined) await this.#judge(key, recordOwn);
      throw error;
    }
    if (recordOwn === undefined) return answer;
    const ballot = this.#ballots.findOrAdd(key);
    this.#follow(ballot, answer);
    // A late result of an instance that follows the fleet changes nothing.
    if (decides(answer)) return answer;
    const hasOpened = await this.#judge(key, recordOwn);
    const voted = hasOpened ? await this.#ballots.open(ballot, call) : undefined;
    return await this.#shown(call, key, voted ?? answer) as Answer<Circuit>;
  }

  /** Records a result of this instance. Returns whether the vote that this makes due is to be cast. */
  async #judge(key: string, recordOwn: () => Promise<Answer<Circuit>>): Promise<boolean> {
    const ballot = this.#ballots.findOrAdd(key);
    ballot.hasResults = true;
    ballot.isOpen = !isClosed((await recordOwn()).circuit);
    return ballot.isOpen && ballot.votedAt === undefined;
  }

  /** What this instance answers, given the fleet's circuit. */
  async #shown(call: Call, key: string, answer: Answer): Promise<Answer> {
    const ballot = this.#ballots.get(key);
    if (ballot === undefined) return answer;
    this.#follow(ballot, answer);
    const own = ballot.isOpen ? await this.#own.read(call, key) : undefined;
    // It was dropped where too many circuits have failed.
    if (own !== undefined && isClosed(own.circuit)) ballot.isOpen = false;
    this.#ballots.renew(ballot);
    return own === undefined || !ballot.isOpen || decides(answer) ? answer : marked(own);
  }

  /** Follows the fleet's circuit where it is not closed, or was zeroed since the own results began. */
  #follow(ballot: Ballot, { circuit, source }: Answer): void {
    // What answers during an outage knows nothing new of the fleet.
    if (source === "local") return;
    const zeroedVersion = circuit?.zeroedVersion ?? 0;
    const known = ballot.zeroedVersion ?? zeroedVersion;
    ballot.zeroedVersion = Math.max(known, zeroedVersion);
    const isOpened = circuit !== undefined && effectiveState(circuit, circuit.readAt) !== "closed";
    if (isOpened || zeroedVersion > known) this.#clear(ballot, circuit?.details.votes);
  }

  #clear(ballot: Ballot, standing?: readonly Vote[]): void {
    if (ballot.hasResults) this.#own.forget(ballot.key);
    ballot.hasResults = false;
    this.#ballots.follow(ballot, standing);
  }
}

/** Whether the fleet's circuit is the answer, whatever the instance finds itself. */
function decides({ circuit, source }: Answer): boolean {
  return isForced(circuit) || source !== "local" && !isClosed(circuit);
}

function isClosed(circuit: Circuit | undefined): boolean {
  return circuit === undefined || circuit.state === "closed";
}

function isForced(circuit: Circuit | undefined): boolean {
  return circuit !== undefined && forcedAt(circuit.forced, circuit.readAt) !== undefined;
}

/** An answer of the own circuits, whose rounds are then known from those of the fleet. */
function marked({ circuit, source }: Answer): Answer {
  return { circuit: circuit && { ...circuit, version: -circuit.version }, source };
}
