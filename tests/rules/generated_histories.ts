/** Histories of calls on a store that fast-check generates, with the options of the store. */

import fc from "fast-check";
import type { CircuitState } from "../../mod.ts";
import type { StoreOptions } from "../conformance/session.ts";

/** How long a history is. */
export const STEPS = 30;

/** A call of a method. */
export interface Call {
  method: Method;
  args: readonly unknown[];
}

type Method =
  | "getState"
  | "recordSuccess"
  | "recordFailure"
  | "transition"
  | "reset"
  | "peek"
  | "list"
  | "forceOpen"
  | "forceClosed"
  | "release"
  | "prune"
  /** Asks for a permit that is reported later. */
  | "acquire"
  /** Reports the permit that was got first of those that have yet to be reported. */
  | "report";

/** Calls at the same time, `waitMs` milliseconds after the step before. */
export interface Step {
  waitMs: number;
  calls: Call[];
}

/** A store's life. */
export interface History {
  options: StoreOptions;
  steps: Step[];
}

const IDLE_MS = 4000;

const options: fc.Arbitrary<StoreOptions> = fc.tuple(
  fc.option(
    fc.record({
      resetTimeoutMs: fc.constantFrom(700, 3000, 10_000),
      halfOpenMax: fc.constantFrom(1, 2, 3),
      probeTimeoutMs: fc.constantFrom(500, 3000, 8000),
      successThreshold: fc.constantFrom(1, 1, 2, 3),
      resetBackoff: fc.constantFrom(undefined, {}, { factor: 1.5 }),
    }),
    { nil: {} },
  ),
  fc.oneof(
    fc.constant({}),
    fc.record({ failureThreshold: fc.constantFrom(1, 3) }),
    fc.record({
      failureThreshold: fc.constantFrom(1, 3),
      failureWindowMs: fc.constantFrom(300, 5000),
    }),
  ),
  fc.oneof(
    fc.record({ trip: fc.constantFrom("caller", "store", undefined) }),
    fc.record({
      failureRateThreshold: fc.constantFrom(0.3, 0.5, 1),
      windowMs: fc.constantFrom(300, 5000),
      minimumThroughput: fc.constantFrom(1, 4),
    }),
    fc.record({
      slowCallRateThreshold: fc.constantFrom(0.3, 1),
      slowCallDurationMs: fc.constant(100),
      windowMs: fc.constantFrom(300, 5000),
      minimumThroughput: fc.constantFrom(1, 4),
    }),
  ),
  fc.constantFrom({}, { durability: "relaxed" as const }),
).map((parts): StoreOptions => {
  const options: StoreOptions = Object.assign({}, ...parts);
  // The store can open circuits only by a rule.
  return options.trip === "store" && options.failureThreshold === undefined
    ? { ...options, trip: undefined }
    : options;
});

/** Whether the store opens circuits by itself. */
function isByStore(options: StoreOptions): boolean {
  const { failureWindowMs, failureRateThreshold, slowCallRateThreshold } = options;
  const rule = failureWindowMs ?? failureRateThreshold ?? slowCallRateThreshold;
  return options.trip === "store" || options.trip === undefined && rule !== undefined;
}

/** A pause in terms of the options. */
type Wait = (options: StoreOptions) => number;

const soon = fc.integer({ min: 0, max: 50 }).map((ms): Wait => () => ms);

/** Until something is due that began a moment ago, or just before or after that. */
const untilDue = fc.tuple(
  fc.constantFrom(
    "resetTimeoutMs",
    "probeTimeoutMs",
    "failureWindowMs",
    "windowMs",
    "idleMs" as const,
  ),
  fc.constantFrom(0, -1, 1, 0.5, -0.5),
).map(([name, nudge]): Wait => (options) =>
  Math.max(0, (name === "idleMs" ? IDLE_MS : options[name] ?? 500) + nudge)
);

const wait: fc.Arbitrary<Wait> = fc.oneof(
  { weight: 12, arbitrary: soon },
  { weight: 5, arbitrary: untilDue },
  // The clock is set back.
  { weight: 1, arbitrary: fc.integer({ min: -50, max: -1 }).map((ms): Wait => () => ms) },
  { weight: 1, arbitrary: untilDue.map((wait): Wait => (options) => -wait(options)) },
);

/** Keys in another order than that of their bytes. */
const plainKey = fc.constantFrom("b", "a", "\u00e4");

/** The last one is stored as a digest. */
const key = fc.constantFrom("b", "a", "\u00e4", "\u00e4\0");
const state = fc.constantFrom<CircuitState[]>("closed", "open", "half-open");

const call = (method: Method, args: fc.Arbitrary<readonly unknown[]>): fc.Arbitrary<Call> =>
  args.map((args) => ({ method, args }));

type Draft = (options: StoreOptions) => Step;

function step(calls: fc.Arbitrary<Call[]>, pause = wait): fc.Arbitrary<Draft> {
  return fc.tuple(pause, calls).map(([wait, calls]): Draft => (options) => ({
    waitMs: wait(options),
    calls,
  }));
}

/** One call. */
function single(method: Method, args: fc.Arbitrary<readonly unknown[]>, pause = wait) {
  return step(call(method, args).map((call) => [call]), pause);
}

const onKey = fc.tuple(key);
const force = fc.tuple(
  key,
  fc.record({
    forMs: fc.constantFrom(undefined, 1, 500, 3000),
    reason: fc.constantFrom(undefined, "drill"),
  }),
);
const page = fc.record({
  state: fc.option(state, { nil: undefined }),
  after: fc.option(key, { nil: undefined }),
  limit: fc.integer({ min: 1, max: 4 }),
});

/** Without a limit: which circuits a smaller one removes is left open. */
const idle = fc.constantFrom(0, 500, IDLE_MS).map((idleMs) => [{ idleMs }]);

/** Calls at the same time. Not on a key whose digest is awaited, so that they keep their order. */
const someOf = (method: Method) => fc.array(call(method, fc.tuple(plainKey)), { maxLength: 4 });

/** A result, of a call that was slow or not. */
const onKeyWithDuration = fc.tuple(
  plainKey,
  fc.constantFrom(undefined, { durationMs: 99 }, { durationMs: 100 }),
);

const someResults = (method: Method) => fc.array(call(method, onKeyWithDuration), { maxLength: 4 });

/**
 * Results at the same time, which share statements. A statement counts its failures first, so they
 * stand first here: the calls then take effect in the order in which they are made. Where the store opens
 * circuits, a statement judges all of its results of a circuit at once, so there is one of each.
 */
const results = step(
  fc.tuple(someResults("recordFailure"), someResults("recordSuccess")).map((both) => both.flat()),
).map((draft): Draft => (options) => {
  const { waitMs, calls } = draft(options);
  const isFirst = ({ args: [key] }: Call, i: number) =>
    calls.findIndex(({ args }) => args[0] === key) === i;
  return { waitMs, calls: isByStore(options) ? calls.filter(isFirst) : calls };
});

const requests = step(someOf("getState"));

const moves = state.chain((to) =>
  step(fc.array(call("transition", plainKey.map((key) => [key, to])), { maxLength: 4 }))
);

/**
 * A circuit opens, becomes due and admits probes. An operator or another result may come between, and
 * then a probe reports. Some of the steps may be missing.
 */
const outage = fc.tuple(plainKey, fc.integer({ min: 1, max: 4 })).chain(([key, requests]) => {
  const same = fc.constant([key]);
  return fc.tuple(
    single("recordFailure", same),
    single("transition", fc.constant([key, "open"])),
    step(
      call("getState", same).map((each) => Array.from({ length: requests }, () => each)),
      untilDue,
    ),
    fc.oneof(
      single("getState", same, soon),
      single("recordFailure", same),
      single("forceOpen", fc.constantFrom([key], [key, { forMs: 500 }])),
      single("release", same),
      single("reset", same),
    ),
    single("transition", fc.constantFrom([key, "closed"], [key, "open"])),
    single("release", same),
  ).chain((steps) => fc.oneof(fc.constant(steps), fc.subarray(steps)));
});

const outcome = fc.constantFrom(["success"], ["failure"], ["ignored"]);

/** The same with permits, of which several may be reported late or not at all. */
const permitted = fc.tuple(plainKey, fc.integer({ min: 1, max: 3 })).chain(([key, calls]) => {
  const same = fc.constant([key]);
  return fc.tuple(
    single("transition", fc.constant([key, "open"])),
    single("acquire", same, untilDue),
    ...Array.from({ length: calls }, () => single("acquire", same)),
    ...Array.from({ length: calls }, () => single("report", outcome)),
    single("getState", same),
    single("report", outcome, wait),
  );
});

/** A force refuses a move, and circuits are pruned when the force has ended. */
const drill = key.chain((key) =>
  fc.tuple(
    single("forceOpen", fc.constant([key, { forMs: 500 }])),
    single("transition", state.map((to) => [key, to])),
    single("prune", idle, untilDue),
  )
);

const alone = (arbitrary: fc.Arbitrary<Draft>) => arbitrary.map((draft) => [draft]);

/** Steps that stand together. The first kind is what others shrink to: no step at all. */
const phrase: fc.Arbitrary<readonly Draft[]> = fc.oneof(
  { withCrossShrink: true },
  { weight: 1, arbitrary: fc.constant([]) },
  { weight: 9, arbitrary: outage },
  { weight: 5, arbitrary: permitted },
  { weight: 2, arbitrary: drill },
  { weight: 4, arbitrary: alone(results) },
  { weight: 4, arbitrary: alone(requests) },
  { weight: 4, arbitrary: alone(moves) },
  { weight: 6, arbitrary: alone(single("getState", onKey)) },
  { weight: 6, arbitrary: alone(single("recordFailure", onKeyWithDuration)) },
  { weight: 4, arbitrary: alone(single("recordSuccess", onKeyWithDuration)) },
  { weight: 6, arbitrary: alone(single("transition", fc.tuple(key, state))) },
  { weight: 3, arbitrary: alone(single("forceOpen", force)) },
  { weight: 3, arbitrary: alone(single("forceClosed", force)) },
  { weight: 2, arbitrary: alone(single("release", onKey)) },
  { weight: 2, arbitrary: alone(single("reset", onKey)) },
  { weight: 3, arbitrary: alone(single("peek", onKey)) },
  { weight: 1, arbitrary: alone(single("peek", fc.tuple(fc.array(key, { maxLength: 4 })))) },
  { weight: 4, arbitrary: alone(single("list", fc.tuple(page))) },
  { weight: 2, arbitrary: alone(single("prune", idle)) },
);

/** Histories of {@linkcode STEPS} steps. */
export const histories: fc.Arbitrary<History> = fc
  .tuple(options, fc.array(phrase, { minLength: STEPS, maxLength: STEPS }))
  .map(([options, phrases]) => ({
    options,
    steps: phrases.flat().slice(0, STEPS).map((draft) => draft(options)),
  }));
