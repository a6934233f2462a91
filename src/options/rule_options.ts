/** How a growing reset timeout grows. */
export interface ResetBackoff {
  /**
   * By what the timeout is multiplied with each failed round of probes, from 1.
   *
   * @default {2}
   */
  factor?: number | undefined;
  /**
   * The longest timeout, in milliseconds, at least `resetTimeoutMs`.
   *
   * @default {Math.max(300_000, resetTimeoutMs)}
   */
  maxMs?: number | undefined;
  /**
   * Which share of the timeout is random, from 0 to 1: with 0.2 a timeout lasts from 80 to 100 percent of
   * its length.
   *
   * @default {0}
   */
  jitter?: number | undefined;
}

/** Options by which a store decides when circuits open, and how they close again. */
export interface RuleOptions {
  /**
   * Who opens a circuit. With `caller` the policy does, by its own count. With `store` the statement that
   * records a result opens the circuit, where that result makes a rule due, for the whole fleet and in one
   * commit. A caller's `transition("open")` then opens only a circuit that is due to open.
   *
   * @default {"store"} with `failureWindowMs`, a rate or `quorum`; otherwise `"caller"`
   */
  trip?: "caller" | "store" | undefined;
  /**
   * How many failures open a circuit, a whole number from 1 to 10,000. `Infinity` means the same as
   * absent. It is the policy's option of the same name. With `trip: "caller"` the policy decides, and the
   * store uses it in one way: a late probe result opens only a circuit with this many failures. Without
   * `failureWindowMs` failures count until the circuit closes, so that a few in a million open it one day:
   * prefer a window or a rate.
   *
   * @default {undefined}
   */
  failureThreshold?: number | undefined;
  /**
   * How long a failure counts for `failureThreshold`, in milliseconds. Whether `failureThreshold` failures lie in the
   * window is decided exactly for a threshold of up to 100, and by tenths of the window above. A snapshot
   * has the number of failures in the window: exact up to 100 or the threshold, whichever is less, and by
   * tenths of the window above, which is never too many. Needs `failureThreshold`.
   *
   * @default {undefined} failures count until the circuit closes
   */
  failureWindowMs?: number | undefined;
  /**
   * Which share of the calls has to fail for the circuit to open, above 0 and at most 1: 0.5 is half of
   * them. Only the calls of the last `windowMs` count, and only from `minimumThroughput` calls on.
   *
   * @default {undefined}
   */
  failureRateThreshold?: number | undefined;
  /**
   * Which share of the calls has to be slow for the circuit to open, above 0 and at most 1. Slow calls
   * count whether they fail or not. Needs `slowCallDurationMs`.
   *
   * @default {undefined}
   */
  slowCallRateThreshold?: number | undefined;
  /**
   * From which duration on a call is slow, in milliseconds. A call is slow only where its result is
   * recorded with `durationMs`.
   *
   * @default {undefined}
   */
  slowCallDurationMs?: number | undefined;
  /**
   * The window of the rates, in milliseconds. It moves by tenths: it holds the calls of the last nine to
   * ten tenths. Resilience4j and Polly use 60 and 30 seconds of the same kind.
   *
   * @default {60_000}
   */
  windowMs?: number | undefined;
  /**
   * How many calls the window of the rates must hold, over all instances, before a rate opens the circuit:
   * a whole number from 1 to 1,000,000. Hystrix has the same default; Resilience4j and Polly have 100.
   *
   * @default {20}
   */
  minimumThroughput?: number | undefined;
  /**
   * How many instances have to find that a circuit must open before it opens for the fleet, a whole number
   * from 2 to 16. Each instance judges its own results by the rules, a rate from
   * `Math.max(3, Math.ceil(minimumThroughput / quorum))` calls of its own. An instance whose results make a
   * rule due votes, and has the circuit open for itself at once, with its own reset timeout and probes. So an
   * instance with a broken network protects itself, `list` names it in `votes`, and the others go on.
   * A caller's `transition("open")` opens nothing by itself.
   *
   * A vote stands while its instance has the circuit open for itself, and for at most 30 seconds after the
   * instance last got a call for it. An instance has one vote, by its `instanceId`: give each instance a
   * label that stays over restarts, because each random label counts as another instance while its vote
   * stands. When the probe of an instance that did not vote closes the circuit, the voters are muted: their
   * next votes do not count until the circuit has closed for themselves. All instances of a table should have
   * the same quorum. Needs a rule: `failureThreshold` or a rate.
   *
   * @default {undefined} the results of all instances count together
   */
  quorum?: number | undefined;
  /**
   * How many probes in a row have to succeed for a half-open circuit to close, a whole number from 1 to
   * 1000. Where it is more than `halfOpenMax`, further rounds follow at once. Needs `resetTimeoutMs`.
   *
   * @default {1}
   */
  successThreshold?: number | undefined;
  /**
   * Lets the reset timeout grow with each failed round of probes. The store forgets the failed rounds
   * when the circuit has stayed closed for one `resetTimeoutMs`. `{}` means all defaults. Needs
   * `resetTimeoutMs`.
   *
   * @default {undefined} the timeout stays the same
   */
  resetBackoff?: ResetBackoff | undefined;
  /**
   * How long it takes after a successful probe until all calls are admitted again, in milliseconds. The
   * share of admitted calls grows from a tenth to all. Needs `resetTimeoutMs`.
   *
   * @default {undefined} all at once
   */
  rampUpMs?: number | undefined;
  /**
   * With `observe` the store refuses no call. It judges results by its rules, as an enforcing store does,
   * but for circuits of its own, which `list`, `history` and `watch` show under keys that end in
   * `~observed`: when they would have opened and closed. Calls that would have been probes act as such.
   * Enforcing instances of the same table are not touched. Not even a state that an operator forces is
   * obeyed. Needs a rule.
   *
   * @default {"enforce"}
   */
  mode?: "enforce" | "observe" | undefined;
}

/** Who opens circuits, and by which rules. */
export interface TripRules {
  /** Whether the store opens circuits. */
  readonly isByStore: boolean;
  readonly rates: RateRules | undefined;
}

/** Rates over a window. */
export interface RateRules {
  /** Shares of calls, from above 0 to 1; `undefined` for none. */
  readonly failureRate: number | undefined;
  readonly slowRate: number | undefined;
  readonly windowMs: number;
  readonly minimumThroughput: number;
}

/** How the reset timeout grows. */
export interface BackoffRules {
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: number;
}
