import { ABSENT_CIRCUIT, type Circuit, type Round } from "../circuit.ts";
import type { Act, Force } from "../options/force.ts";
import type { ResolvedListOptions } from "../options/list.ts";
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
import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import type { CircuitState } from "../types.ts";
import type { CachedCircuit } from "./cached_circuit.ts";
import { elapsedClock, RESOLUTION_MS } from "./elapsed_clock.ts";
import { CacheEntries, type Question } from "./entries.ts";
import { Flusher } from "./flusher.ts";
import { BACKGROUND_TIMERS, type Timers } from "../time/timers.ts";
import type { CircuitCacheOptions, Origin } from "./origin.ts";
import { RefreshSchedule } from "./refresh_schedule.ts";
import { Subscription } from "./subscription.ts";
import { Suspects } from "./suspects.ts";
import { TailFollower } from "./tail_follower.ts";
import { WholeReads } from "./whole_reads.ts";

/**
 * Caches the circuits that one instance uses, so that a call on a busy circuit does not wait. A call
 * gets no answer that is older than the bound: it waits for the origin instead. Successes of a closed
 * circuit are counted later. Every other change is in the origin before its call resolves.
 *
 * States: at rest (no circuit is cached); in use; ended.
 * - A call asks for a circuit: at rest -> in use. {@linkcode TailFollower} follows the log, when
 *   {@linkcode RefreshSchedule} says so. {@linkcode Flusher} counts successes.
 * - The last circuit is out of use: in use -> at rest. Nothing is sent any more.
 * - The database is out: nothing is sent. Circuits age, and the cursor stays. What is answered
 *   locally is not kept.
 * - `end`: to ended. It counts the successes that wait. From then on every call goes to the origin.
 *
 * {@linkcode CachedCircuit} lists the states of one circuit.
 */
export class CircuitCache implements Calls, KnownCalls, Admin, Votes {
  readonly #origin: Origin;
  readonly #maxStalenessMs: number;
  readonly #deadlines: CallDeadlines;
  readonly #clock: () => number;
  readonly #timers: Timers;
  readonly #entries: CacheEntries;
  readonly #follower: TailFollower;
  readonly #wholeReads: WholeReads;
  readonly #schedule: RefreshSchedule;
  readonly #flusher: Flusher;
  readonly #subscription: Subscription;
  /** Absent without rates. */
  readonly #suspects: Suspects | undefined;
  readonly #hasSlowRate: boolean;
  #isEnded = false;

  constructor(origin: Origin, options: CircuitCacheOptions) {
    const { maxStalenessMs, deadlines, now, instance, onError, feed, hasFailureWindow } = options;
    const { timers = BACKGROUND_TIMERS, random = Math.random } = options;
    const clock = options.clock ?? now ?? elapsedClock();
    this.#origin = origin;
    this.#maxStalenessMs = clock === now ? maxStalenessMs : maxStalenessMs - RESOLUTION_MS;
    this.#deadlines = deadlines;
    this.#clock = clock;
    this.#timers = timers;
    this.#schedule = new RefreshSchedule({
      maxStalenessMs,
      timers,
      random,
      refreshAfter: options.refreshAfter,
      refresh: () => this.#refresh(),
      isNeeded: () => this.#isNeeded(),
    });
    this.#subscription = new Subscription(feed, timers, () => this.#schedule.announce());
    this.#entries = new CacheEntries(
      { clock, now, answerWithinMs: options.answerWithinMs },
      hasFailureWindow,
      (isInUse) => this.#use(isInUse),
      (entry, { details }) => {
        if (details.suspectAt > 0) this.#suspects?.note(entry, details.suspectAt);
      },
    );
    this.#hasSlowRate = options.hasSlowRate ?? false;
    this.#suspects = options.rateWindowMs === undefined
      ? undefined
      : new Suspects(origin, this.#entries, {
        maxStalenessMs,
        windowMs: options.rateWindowMs,
        clock,
        deadlines,
        timers,
      });
    this.#follower = new TailFollower(origin, this.#entries);
    this.#wholeReads = new WholeReads(origin, this.#entries, deadlines);
    this.#flusher = new Flusher(origin, this.#entries, {
      instance,
      countWithinMs: options.countWithinMs,
      maxStalenessMs,
      deadlines,
      timers,
      random,
      onError,
      readWhole: (entries) => this.#wholeReads.read(entries),
    });
  }

  /** How old what is known is, in milliseconds; `undefined` where nothing is followed. */
  get ageMs(): number | undefined {
    const { validAt } = this.#follower;
    return validAt === -Infinity ? undefined : Math.max(0, this.#clock() - validAt);
  }

  /** How many successes have yet to be counted. */
  get pending(): number {
    return this.#entries.pending;
  }

  read(call: Call, key: string): Promise<Answer> {
    const now = this.#clock();
    const cached = this.#fresh(key, now);
    return cached === undefined
      ? this.#ask(call, key)
      : Promise.resolve({ circuit: cached.shown(now), source: "cache" });
  }

  known(key: string): Circuit | undefined | "unknown" {
    const cached = this.#fresh(key, this.#clock());
    return cached === undefined ? "unknown" : cached.circuit;
  }

  recordSuccess(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    const now = this.#clock();
    const cached = this.#defer(key, now, isSlow);
    return cached === undefined
      ? this.#record(call, key, () => this.#origin.recordSuccess(call, key, isSlow), "success")
      : Promise.resolve({ circuit: cached.shown(now)!, source: "cache" });
  }

  countSuccess(key: string, isSlow: boolean): boolean {
    return this.#defer(key, this.#clock(), isSlow) !== undefined;
  }

  /** Lets a success wait to be counted. `undefined` where the database has to count it at once. */
  #defer(key: string, now: number, isSlow: boolean | undefined): CachedCircuit | undefined {
    const cached = this.#fresh(key, now);
    const isUrgent = isSlow && this.#hasSlowRate;
    if (isUrgent || cached === undefined || !cached.defer(now, isSlow)) return undefined;
    this.#flusher.note();
    return cached;
  }

  recordFailure(call: Call, key: string, isSlow?: boolean): Promise<Answer<Circuit>> {
    return this.#record(call, key, () => this.#origin.recordFailure(call, key, isSlow));
  }

  transition(call: Call, key: string, to: CircuitState): Promise<Answer> {
    const move = () => this.#origin.transition(call, key, to);
    return this.#write(key, move, to === "closed" ? "zeroing" : undefined);
  }

  settle(call: Call, key: string, outcome: PermitOutcome, round: Round): Promise<Answer> {
    return this.#write(key, () => this.#origin.settle(call, key, outcome, round));
  }

  claim(call: Call, key: string, patienceMs: number): Promise<ClaimAnswer> {
    return this.#write(key, () => this.#origin.claim(call, key, patienceMs));
  }

  vote(call: Call, key: string): Promise<Answer<Circuit>> {
    return this.#write(key, () => this.#origin.vote(call, key));
  }

  withdraw(call: Call, keys: readonly string[]): Promise<void> {
    return this.#origin.withdraw(call, keys);
  }

  force(call: Call, key: string, force: Force): Promise<Answer> {
    return this.#write(key, () => this.#origin.force(call, key, force));
  }

  async reset(call: Call, key: string, act: Act): Promise<Answer> {
    const answer = await this.#write(key, () => this.#origin.reset(call, key, act), "zeroing");
    // A read that was asked for before can have found a row that is gone, with a higher version.
    this.#entries.get(key)?.ignoreBefore(this.#entries.nextOrder());
    return answer;
  }

  async readMany(call: Call, keys: readonly string[]): Promise<Circuit[]> {
    return this.#overtake(await this.#origin.readMany(call, keys));
  }

  async list(call: Call, options: ResolvedListOptions): Promise<ListedCircuit[]> {
    return this.#overtake(await this.#origin.list(call, options));
  }

  async prune(call: Call, request: PruneRequest): Promise<number> {
    const removed = await this.#origin.prune(call, request);
    if (removed > 0) this.#entries.forgetAll(false);
    return removed;
  }

  /**
   * Counts the successes that wait. Defers and refreshes nothing from then on.
   *
   * @throws {CircuitBreakerStoreError} If successes were not counted.
   */
  end(call: Call): Promise<void> {
    this.#isEnded = true;
    this.#schedule.end();
    this.#subscription.end();
    return this.#flusher.end(call, this.#suspects?.end());
  }

  #fresh(key: string, now: number): CachedCircuit | undefined {
    const cached = this.#entries.get(key);
    if (cached === undefined || this.#isEnded) return undefined;
    return cached.isFresh(this.#maxStalenessMs, now, this.#follower.validAt) ? cached : undefined;
  }

  /** Reads a circuit, again where the answer is ignored: what is known can be older or newer. */
  async #ask(call: Call, key: string): Promise<Answer> {
    while (!this.#isEnded) {
      const question = this.#begin(key);
      try {
        const answer = await this.#origin.read(call, key);
        const { entry } = question;
        if (!this.#isKept(entry, answer)) return answer;
        if (this.#entries.learnRead(entry, answer.circuit, question)) {
          return { ...answer, circuit: entry.shown(this.#clock()) };
        }
        if (performance.now() >= call.dueAt) return answer;
      } finally {
        this.#entries.end(question.entry);
      }
    }
    return this.#withOwn(key, await this.#origin.read(call, key));
  }

  /** Sends a result. With rates, the successes of the circuit that wait are counted before it. */
  async #record(
    call: Call,
    key: string,
    send: () => Promise<Answer<Circuit>>,
    kind?: "success",
  ): Promise<Answer<Circuit>> {
    const entry = this.#isEnded ? undefined : this.#entries.get(key);
    if (entry !== undefined) await this.#suspects?.count(call, [entry]);
    return await this.#write(key, send, kind);
  }

  /** Sends a write, and learns the circuit from its answer. */
  async #write<Result extends Answer>(
    key: string,
    send: () => Promise<Result>,
    kind?: "success" | "zeroing",
  ): Promise<Result> {
    if (this.#isEnded) return this.#withOwn(key, await send());
    const question = this.#begin(key);
    const { entry } = question;
    const versionBefore = entry?.successes.version ?? 0;
    try {
      const answer = await send();
      if (!this.#isKept(entry, answer)) return answer;
      const { circuit } = answer;
      this.#entries.learnWritten(entry, circuit, question);
      const order = this.#entries.nextOrder();
      if (kind === "success") entry.successes.wasRecorded(circuit, question, order);
      if (kind === "zeroing") entry.zeroed(circuit, versionBefore, order);
      return this.#withOwn(key, answer);
    } finally {
      this.#entries.end(question.entry);
    }
  }

  /** Circuits are in use from now on, or no circuit is any more. */
  #use(isInUse: boolean): void {
    if (isInUse) this.#schedule.beginInterval(this.#timers.now());
    this.#subscription.use(isInUse);
  }

  #begin(key: string): Question {
    const question = this.#entries.ask(key);
    this.#schedule.wake();
    return question;
  }

  /** Whether an answer is kept. The circuit is unknown where another than the database answered. */
  #isKept(entry: CachedCircuit | undefined, { source }: Answer): entry is CachedCircuit {
    if (entry === undefined) return false;
    if (source === "database" && !this.#origin.isOut) return true;
    this.#entries.forget(entry);
    return false;
  }

  /** What the database answered, with the successes that it does not count yet. */
  #withOwn<Result extends Answer>(key: string, answer: Result): Result {
    const entry = this.#entries.get(key);
    if (entry === undefined) return answer;
    const circuit = entry.including(answer.circuit ?? { ...ABSENT_CIRCUIT, key });
    // A circuit without a row is shown for its successes only.
    return answer.circuit === undefined && circuit.successCount === 0
      ? answer
      : { ...answer, circuit };
  }

  /**
   * Circuits as the database has them, with the successes that have yet to be counted. Their source is
   * not known, so that they are not kept. Yet a later answer from memory must not show an older state:
   * a circuit that is cached in an older one is unknown from now on.
   */
  #overtake<Found extends Circuit>(circuits: Found[]): Found[] {
    return circuits.map((circuit) => {
      const entry = this.#entries.get(circuit.key);
      if (entry === undefined) return circuit;
      if (this.#origin.isOut || circuit.version > entry.version) this.#entries.forget(entry);
      return entry.including(circuit);
    });
  }

  /** Returns `false` where the statement failed. */
  async #refresh(): Promise<boolean> {
    const from = this.#timers.now();
    if (this.#schedule.passInterval(from)) {
      this.#entries.passInterval();
      this.#wholeReads.passInterval();
      // The successes of a key count from when it is in regular use.
      if (this.#entries.hasCountable) this.#flusher.note();
    }
    if (this.#origin.isOut || this.#entries.size === 0) return true;
    try {
      const followed = await this.#follower.follow(this.#deadlines.begin());
      if (this.#isEnded) return true;
      this.#schedule.measured(this.#timers.now() - from);
      if (followed === "began" || followed === "began anew") {
        void this.#wholeReads.read(this.#entries.all());
      } else void this.#wholeReads.readDue();
    } catch {
      return false; // the statement was reported
    }
    void this.#flusher.renew();
    return true;
  }

  #isNeeded(): boolean {
    if (this.#entries.size > 0) return true;
    this.#follower.rest();
    return false;
  }
}
