import { isCircuitBreakerStoreError } from "../../mod.ts";
import type { ErrorNote, KeyTally, LoadReport, SlowCall } from "./messages.ts";

/** What the server answers to a statement that it has certainly not carried out. */
const NOT_DONE: readonly (string | undefined)[] = ["25006", "3D000", "42P01", "53300", "55P03"];

/** How a call ended, and how long that took. */
export interface Outcome {
  call: string;
  phase: string;
  tookMs: number;
  noiseMs: number;
  /** `undefined` where it was answered. */
  error: unknown;
  isError: boolean;
  /** Whether the store knew of the outage from the call's begin to its end. */
  isDuring: boolean;
  /** Whether the event loop ran anything else between the call's begin and its end. */
  hasWaited: boolean;
}

/** Writes down what a load did and what came of it. */
export class Ledger {
  readonly #phases: LoadReport["phases"] = {};
  readonly #tallies: LoadReport["tallies"] = {};
  readonly #errors: LoadReport["errors"] = {};
  readonly #slowest = new Map<string, SlowCall>();
  readonly #during: LoadReport["during"] = { calls: 0, waited: 0 };
  readonly #gateway: LoadReport["gateway"] = {};

  /** A phase's counts. */
  phase(name: string): LoadReport["phases"][string] {
    return this.#phases[name] ??= { answers: 0, errors: 0, outages: 0 };
  }

  /** Notes a call that ended. */
  add(
    { call, phase, tookMs, noiseMs, error, isError, isDuring, hasWaited }: Outcome,
  ): void {
    const own = tookMs - noiseMs;
    const note = isError ? noteOf(error) : undefined;
    const counts = this.phase(phase);
    counts.answers++;
    if (note !== undefined) {
      counts.errors++;
      const errors = this.#errors[labelOf(note)] ??= { count: 0, message: note.message };
      errors.count++;
    }
    if (isDuring && call !== "gateway") {
      this.#during.calls++;
      if (hasWaited) this.#during.waited++;
    }
    if (own > (this.#slowest.get(call)?.tookMs ?? -1)) {
      const outcome = note === undefined ? "answered" : `${labelOf(note)}: ${note.message}`;
      this.#slowest.set(call, { call, tookMs: own, noiseMs, outcome });
    }
  }

  /** Notes that a call counted something, or may have, or has not. */
  count(key: string, counter: keyof KeyTally, isError: boolean, error: unknown): void {
    const tally = this.#tallies[key] ??= {
      failures: { acknowledged: 0, unknown: 0 },
      successes: { acknowledged: 0, unknown: 0 },
    };
    if (!isError) tally[counter].acknowledged++;
    else if (!isCertainlyNotDone(error)) tally[counter].unknown++;
  }

  /** Notes an answer of the gateway. */
  respond(status: number): void {
    this.#gateway[status] = (this.#gateway[status] ?? 0) + 1;
  }

  /** All of it. */
  report(): LoadReport {
    return {
      phases: this.#phases,
      tallies: this.#tallies,
      errors: this.#errors,
      slowest: [...this.#slowest.values()],
      during: this.#during,
      gateway: this.#gateway,
    };
  }
}

/** An error in words. What the library did not make is called foreign. */
export function noteOf(error: unknown): ErrorNote {
  if (!(error instanceof Error)) return { name: "foreign", message: String(error) };
  const isOurs = isCircuitBreakerStoreError(error);
  return {
    name: isOurs ? error.name : `foreign ${error.name}`,
    message: error.message,
    ...isOurs && error.sqlState !== undefined && { sqlState: error.sqlState },
    ...error.cause !== undefined && { cause: String(error.cause) },
  };
}

function labelOf({ name, sqlState }: ErrorNote): string {
  return sqlState === undefined ? name : `${name} ${sqlState}`;
}

/** Nothing was sent in a known outage, and a statement that was refused did nothing. */
function isCertainlyNotDone(error: unknown): boolean {
  return isCircuitBreakerStoreError(error) &&
    (NOT_DONE.includes(error.sqlState) || error.message.startsWith("Cannot use the database"));
}
