import type { Vote } from "../circuit.ts";
import { keepLast } from "../keep_last.ts";
import type { Answer, Votes } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import { MAX_JUDGED } from "./own_circuits.ts";

/** How often a vote is renewed while calls show that its instance lives, in milliseconds. */
const RENEWAL_MS = 10_000;

/** How many votes one statement withdraws at most. */
const KEYS = 500;

/** What one instance has to say of one circuit. */
export interface Ballot {
  readonly key: string;
  /** Whether the instance has the circuit open for itself, and so votes for opening it. */
  isOpen: boolean;
  /** Whether the instance's own circuit remembers results. */
  hasResults: boolean;
  /** The version of the fleet's last zeroing of the circuit; `undefined` until the database has answered. */
  zeroedVersion: number | undefined;
  /** When the vote was last stored, by the clock that decides; `undefined` where it has to be sent. */
  votedAt: number | undefined;
  /** Whether the table may hold the vote. */
  mayStand: boolean;
  /** Sends what is due, and returns the circuit where it was a vote. */
  sending: Promise<Answer | undefined> | undefined;
}

/** What the ballots of an instance need. */
export interface BallotsOptions {
  readonly votes: Votes;
  /** Who votes. */
  readonly label: string;
  /** The clock that decides, as far as this instance knows it. */
  readonly now: () => number;
  readonly deadlines: CallDeadlines;
  /** Called with each answer to a vote. */
  readonly onAnswer: (ballot: Ballot, answer: Answer) => void;
}

/**
 * The votes of one instance. One statement for a circuit is in flight at a time. What is due then, or has
 * failed, is sent with the next call for the circuit. Errors are reported where statements are sent.
 *
 * States of a ballot: silent; to be cast; cast; to be withdrawn.
 * - `open`: silent -> to be cast. A vote that has yet to be withdrawn: to be cast likewise.
 * - The vote is stored: to be cast -> cast. {@linkcode RENEWAL_MS} later a call for the circuit makes it
 *   to be cast again, which renews it.
 * - `close`: cast -> to be withdrawn, and to be cast -> silent if it was never sent.
 * - The withdrawal is stored: to be withdrawn -> silent.
 * - `follow`: to silent. The fleet's circuit has moved, which has ended the votes.
 * - `end`: no vote is sent any more. The votes that may stand are withdrawn.
 */
export class Ballots {
  readonly #options: BallotsOptions;
  readonly #ballots = new Map<string, Ballot>();
  #isEnded = false;

  constructor(options: BallotsOptions) {
    this.#options = options;
  }

  /** The ballot of a circuit, `undefined` for one of which the instance has no results. */
  get(key: string): Ballot | undefined {
    return this.#ballots.get(key);
  }

  findOrAdd(key: string): Ballot {
    const found = this.#ballots.get(key);
    if (found !== undefined) return found;
    const ballot: Ballot = {
      key,
      isOpen: false,
      hasResults: false,
      zeroedVersion: undefined,
      votedAt: undefined,
      mayStand: false,
      sending: undefined,
    };
    keepLast(this.#ballots, key, ballot, MAX_JUDGED);
    return ballot;
  }

  /**
   * The instance has opened the circuit for itself. Waits until the vote is stored, or has failed. Returns
   * the circuit after it, if this call sent it.
   */
  open(ballot: Ballot, call: Call): Promise<Answer | undefined> {
    ballot.isOpen = true;
    return this.#sendNow(ballot, call);
  }

  /** The instance's own circuit has closed. Waits until the vote is withdrawn, or that has failed. */
  async close(ballot: Ballot, call: Call): Promise<void> {
    ballot.isOpen = false;
    ballot.votedAt = undefined;
    await this.#sendNow(ballot, call);
  }

  /**
   * The fleet's circuit has moved, or was zeroed. Its votes ended with that. A vote that came after it stands,
   * although this instance hears of it only now.
   *
   * @param standing The votes of the circuit as it is now.
   */
  follow(ballot: Ballot, standing: readonly Vote[] = []): void {
    ballot.isOpen = false;
    ballot.votedAt = undefined;
    ballot.mayStand = standing.some(({ label }) => label === this.#options.label);
  }

  /** A call shows that the instance lives: sends in the background what is due. */
  renew(ballot: Ballot): void {
    if (ballot.sending !== undefined || !this.#isDue(ballot)) return;
    void this.#begin(ballot, this.#options.deadlines.begin());
  }

  /** Withdraws the votes that may stand. Never rejects. */
  async end(call: Call): Promise<void> {
    this.#isEnded = true;
    const cast = [...this.#ballots.values()].filter(({ mayStand }) => mayStand);
    // A vote in flight would come after the withdrawal.
    await Promise.all(cast.map(({ sending }) => sending));
    const keys = cast.filter(({ mayStand }) => mayStand).map(({ key }) => key);
    for (let i = 0; i < keys.length; i += KEYS) {
      // It was reported. The votes end by themselves.
      await this.#options.votes.withdraw(call, keys.slice(i, i + KEYS)).catch(() => {});
    }
  }

  async #sendNow(ballot: Ballot, call: Call): Promise<Answer | undefined> {
    let answer: Answer | undefined;
    if (ballot.sending !== undefined) {
      // It has a deadline of its own, which can be later.
      const { deadlines } = this.#options;
      answer = await deadlines.race(call, "vote for opening", ballot.sending).catch(() =>
        undefined
      );
    }
    if (ballot.sending !== undefined || !this.#isDue(ballot)) return answer;
    return await this.#begin(ballot, call);
  }

  #begin(ballot: Ballot, call: Call): Promise<Answer | undefined> {
    const sending = this.#send(ballot, call);
    ballot.sending = sending;
    return sending;
  }

  /** Sends what is due. Never rejects. */
  async #send(ballot: Ballot, call: Call): Promise<Answer | undefined> {
    try {
      return ballot.isOpen ? await this.#vote(ballot, call) : await this.#withdraw(ballot, call);
    } catch {
      return undefined; // the statement was reported, and the next call for the circuit sends it again
    } finally {
      ballot.sending = undefined;
    }
  }

  async #vote(ballot: Ballot, call: Call): Promise<Answer> {
    const { votes, label, now, onAnswer } = this.#options;
    // Also where no answer comes.
    ballot.mayStand = true;
    const sentAt = now();
    let answer: Answer;
    try {
      answer = await votes.vote(call, ballot.key);
    } finally {
      // The fleet's circuit can have moved meanwhile, and closed again: then the vote may stand, answered
      // or not.
      ballot.mayStand = true;
    }
    const wasOpen = ballot.isOpen;
    if (wasOpen) ballot.votedAt = sentAt;
    onAnswer(ballot, answer);
    if (wasOpen && !ballot.isOpen) {
      // The answer showed that the circuit was zeroed before the vote, which can stand for nothing then.
      ballot.mayStand = answer.circuit!.details.votes.some((vote) => vote.label === label);
    }
    return answer;
  }

  async #withdraw(ballot: Ballot, call: Call): Promise<undefined> {
    await this.#options.votes.withdraw(call, [ballot.key]);
    ballot.mayStand = false;
  }

  #isDue({ isOpen, mayStand, votedAt }: Ballot): boolean {
    if (this.#isEnded) return false;
    if (!isOpen) return mayStand;
    return votedAt === undefined || Math.abs(this.#options.now() - votedAt) >= RENEWAL_MS;
  }
}
