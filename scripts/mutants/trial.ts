import { fileURLToPath } from "node:url";
import { TEST_LIMIT_MS } from "./protocol.ts";
import type { Answer, Fate, FoundTest, Hits } from "./protocol.ts";
import type { Mutant } from "./instrument.ts";
import { type Place, RunnerProcess } from "./runner_process.ts";

/** A test that passes without a mutant. */
interface SoundTest extends FoundTest {
  readonly place: number;
  readonly ms: number;
  readonly hits: Hits;
}

/** What became of a mutant. `unreached` is one whose code no test runs. */
export interface Verdict extends Mutant {
  readonly fate: "killed" | "timeout" | "survived" | "unreached";
  /** The test that noticed, and what it said. */
  readonly test?: string;
  readonly why?: string;
  /** How many tests run its code. */
  readonly reachedBy: number;
}

/** In a loop without end, a mutant is reached more often than this factor says. */
const HIT_FACTOR = 100;
const LEAST_HITS = 20_000;
/** How much longer than alone a test may take. */
const TIME_FACTOR = 8;
const LEAST_MS = 4_000;

/**
 * The tests of some files, and what they reach. One process runs them against many mutants. A mutant that
 * is reached while files load needs a process of its own.
 */
export class Trial {
  readonly #place: Place;
  readonly #files: readonly string[];
  readonly #tests: readonly SoundTest[];
  readonly #loading: Hits;
  /** The tests that fail without a mutant, with the reason. They judge nothing. */
  readonly unsound: readonly string[];

  private constructor(
    place: Place,
    files: readonly string[],
    tests: readonly SoundTest[],
    loading: Hits,
    unsound: readonly string[],
  ) {
    [this.#place, this.#files, this.#tests] = [place, files, tests];
    [this.#loading, this.unsound] = [loading, unsound];
  }

  /** Runs every test once, without a mutant. */
  static async prepare(place: Place, files: readonly string[]): Promise<Trial> {
    await using process = new RunnerProcess(place, { files });
    const ready = await process.ready();
    if (ready?.is !== "ready") throw new Error(`Cannot load the tests: ${whyOf(ready)}`);
    const sound: SoundTest[] = [];
    const unsound: string[] = [];
    for (const [test, found] of ready.tests.entries()) {
      const answer = await process.ask({ ask: "reach", test, limitMs: TEST_LIMIT_MS });
      if (answer?.is !== "reached") throw new Error(`Cannot run "${found.name}": it hangs`);
      const { hits, ms, why } = answer;
      if (why !== undefined) unsound.push(`${found.name}: ${why}`);
      else sound.push({ ...found, place: test, ms, hits });
    }
    const quickestFirst = sound.toSorted((one, other) => one.ms - other.ms);
    return new Trial(place, files, quickestFirst, ready.hits, unsound);
  }

  /** How many tests judge, and how long they take together. */
  get size(): { readonly tests: number; readonly ms: number } {
    return {
      tests: this.#tests.length,
      ms: Math.round(this.#tests.reduce((sum, { ms }) => sum + ms, 0)),
    };
  }

  /** Judges mutants in a number of processes at a time, until a moment of `performance.now()`. */
  async judge(
    mutants: readonly Mutant[],
    workers: number,
    until: number,
    onVerdict: (verdict: Verdict) => void,
  ): Promise<Verdict[]> {
    const queue = mutants.values();
    const verdicts: Verdict[] = [];
    await Promise.all(Array.from({ length: workers }, async () => {
      await using worker = new Worker(this.#place, this.#files);
      for (const mutant of queue) {
        if (performance.now() > until) break;
        const verdict = await this.#judge(mutant, mutants, worker);
        verdicts.push(verdict);
        onVerdict(verdict);
      }
    }));
    return verdicts.toSorted((one, other) => Number(one.id) - Number(other.id));
  }

  async #judge(mutant: Mutant, mutants: readonly Mutant[], worker: Worker): Promise<Verdict> {
    const { id } = mutant;
    const isLoaded = id in this.#loading;
    const tests = isLoaded ? this.#nearFirst(mutant, mutants) : this.#reaching(id);
    if (tests.length === 0) return { ...mutant, fate: "unreached", reachedBy: 0 };
    const hits = tests.reduce((sum, { hits }) => sum + (hits[id] ?? 0), 0);
    const question = {
      ask: "meet",
      mutant: id,
      tests: tests.map(({ place }) => place),
      limitsMs: tests.map(({ ms }) => ms * TIME_FACTOR + LEAST_MS),
      mostHits: isLoaded ? Number.MAX_SAFE_INTEGER : hits * HIT_FACTOR + LEAST_HITS,
    } as const;
    const fate = isLoaded ? await worker.meetAlone(question) : await worker.meet(question);
    const reachedBy = tests.length;
    if (fate.is === "survived") return { ...mutant, fate: "survived", reachedBy };
    const test = this.#tests.find(({ place }) => place === fate.test)?.name ?? "";
    const is = fate.is === "timeout" ? "timeout" : "killed";
    return { ...mutant, fate: is, test, why: fate.why, reachedBy };
  }

  #reaching(id: string): SoundTest[] {
    return this.#tests.filter(({ hits }) => id in hits);
  }

  /** All tests, those that reach the mutant's file before the others. */
  #nearFirst({ file }: Mutant, mutants: readonly Mutant[]): SoundTest[] {
    const ids = mutants.filter((other) => other.file === file).map(({ id }) => id);
    const isNear = ({ hits }: SoundTest) => ids.some((id) => id in hits);
    return [...this.#tests.filter(isNear), ...this.#tests.filter((test) => !isNear(test))];
  }

  /** Whether `deno test` itself notices the mutant, with its checks for leaks, in fresh processes. */
  async isNoticedByDeno(mutant: Mutant): Promise<boolean> {
    const reaching = mutant.id in this.#loading ? this.#tests : this.#reaching(mutant.id);
    const { folder, flags, env } = this.#place;
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "--allow-all", "--no-check", "--no-lock", "--fail-fast", ...flags],
        ...new Set(reaching.map(({ file }) => file)),
      ],
      cwd: fileURLToPath(folder),
      env: { ...env, __STRYKER_ACTIVE_MUTANT__: mutant.id },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return !success;
  }
}

type Meeting = Parameters<RunnerProcess["ask"]>[0] & { ask: "meet" };

/** A process for many mutants, which is replaced where one spoils it. */
class Worker implements AsyncDisposable {
  readonly #place: Place;
  readonly #files: readonly string[];
  #process: RunnerProcess | undefined;

  constructor(place: Place, files: readonly string[]) {
    this.#place = place;
    this.#files = files;
  }

  async meet(question: Meeting): Promise<Fate> {
    const fate = await this.#meet(question);
    if (fate.is === "killed" || fate.is === "survived") return fate;
    await this[Symbol.asyncDispose]();
    if (fate.is === "timeout") return fate;
    // In a fresh process, nothing but the mutant can be the reason.
    const again = await this.#meet(question);
    if (again.is === "unclear") await this[Symbol.asyncDispose]();
    return again;
  }

  /** The mutant is active already while the files load. */
  async meetAlone(question: Meeting): Promise<Fate> {
    const { mutant, tests: [test = 0] } = question;
    await using process = new RunnerProcess(this.#place, { files: this.#files, mutant });
    const ready = await process.ready();
    if (ready?.is !== "ready") return { is: "killed", test, why: whyOf(ready) };
    return fateOf(await process.ask(question), test);
  }

  async #meet(question: Meeting): Promise<Fate> {
    if (this.#process === undefined) {
      this.#process = new RunnerProcess(this.#place, { files: this.#files });
      await this.#process.ready();
    }
    return fateOf(await this.#process.ask(question), question.tests[0]!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }
}

function fateOf(answer: Answer | undefined, test: number): Fate {
  if (answer?.is === "fate") return answer.fate;
  return { is: "timeout", test, why: "the process hung or ended" };
}

function whyOf(answer: Answer | undefined): string {
  return answer?.is === "unready" ? answer.why : "loading hung or ended";
}
