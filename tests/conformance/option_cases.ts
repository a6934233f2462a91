/** Options of every store: what is refused, and how that is said. */

import { assertEquals, assertMatch } from "@std/assert";
import {
  type ConformanceBackend,
  failureOf,
  type StoreOptions,
  type TestRunner,
} from "./session.ts";

type Wrong = [type: typeof TypeError | typeof RangeError, named: string, options: unknown];

const MILLISECONDS = [
  "resetTimeoutMs",
  "probeTimeoutMs",
  "failureWindowMs",
  "slowCallDurationMs",
  "windowMs",
  "rampUpMs",
];
const COUNTS = ["halfOpenMax", "failureThreshold", "minimumThroughput", "successThreshold"];
const SHARES = ["failureRateThreshold", "slowCallRateThreshold"];
const FUNCTIONS = ["now", "onOutageChange", "onError"];
const WORDS = ["onOutage", "durability"];
/** What the others need, so that only the one in question is wrong. */
const NEEDED = {
  resetTimeoutMs: 1000,
  failureThreshold: 3,
  failureRateThreshold: 0.5,
  slowCallRateThreshold: 0.5,
  slowCallDurationMs: 1000,
};

/** What the policy reads as no threshold is none for the store. */
function isRight(name: string, value: unknown): boolean {
  return name === "failureThreshold" && value === Infinity;
}

/** Of the reset timeout's growth. */
const WRONG_BACKOFF: [type: Wrong[0], named: string, resetBackoff: unknown][] = [
  ...[null, 2, "fast", true].map((value): Wrong => [TypeError, "resetBackoff", value]),
  ...["factor", "maxMs", "jitter"].flatMap((name) => [
    ...["2", null, {}].map((value): Wrong => [TypeError, `resetBackoff.${name}`, {
      [name]: value,
    }]),
    ...[-1, NaN, 1e16].map((value): Wrong => [RangeError, `resetBackoff.${name}`, {
      [name]: value,
    }]),
  ]),
  [RangeError, "resetBackoff.factor", { factor: 0.99 }],
  [RangeError, "resetBackoff.jitter", { jitter: 1.01 }],
  [RangeError, "resetBackoff.maxMs", { maxMs: 999 }],
  [TypeError, "factor", { facter: 2 }],
];

const WRONG: Wrong[] = [
  ...WRONG_BACKOFF.map(([type, named, resetBackoff]): Wrong => [
    type,
    named,
    { ...NEEDED, resetBackoff },
  ]),
  ...["3", null, {}].map((successThreshold): Wrong => [TypeError, "successThreshold", {
    ...NEEDED,
    successThreshold,
  }]),
  ...[0, -1, 1.5, 1001, NaN, Infinity].map((successThreshold): Wrong => [
    RangeError,
    "successThreshold",
    { ...NEEDED, successThreshold },
  ]),
  ...Object.entries({ successThreshold: 2, resetBackoff: {}, rampUpMs: 1000 }).map(
    ([name, value]): Wrong => [TypeError, name, { [name]: value }],
  ),
  ...[...MILLISECONDS, ...COUNTS].flatMap((name) => [
    ...["1000", null, 10n, {}, true, () => 1].map((value): Wrong => [
      TypeError,
      name,
      { ...NEEDED, [name]: value },
    ]),
    ...[0, -1, NaN, Infinity, -Infinity, 1e16]
      .filter((value) => !isRight(name, value))
      .map((value): Wrong => [RangeError, name, { ...NEEDED, [name]: value }]),
  ]),
  ...SHARES.flatMap((name) => [
    ...["0.5", null, 1n, {}].map((value): Wrong => [TypeError, name, {
      ...NEEDED,
      [name]: value,
    }]),
    ...[0, -0.1, 1.01, 50, NaN, Infinity].map((value): Wrong => [RangeError, name, {
      ...NEEDED,
      [name]: value,
    }]),
  ]),
  ...["caller", null, "STORE", 1].map((trip): Wrong => [TypeError, "trip", { ...NEEDED, trip }]),
  [TypeError, "trip", { trip: "store" }],
  [TypeError, "trip", { trip: "store", failureThreshold: Infinity }],
  [TypeError, "failureWindowMs", { failureWindowMs: 1000, failureThreshold: Infinity }],
  [TypeError, "windowMs", { windowMs: 1000 }],
  [TypeError, "minimumThroughput", { minimumThroughput: 10, failureThreshold: 3 }],
  [TypeError, "slowCallDurationMs", { slowCallDurationMs: 1000 }],
  [TypeError, "slowCallRateThreshold", { slowCallRateThreshold: 0.5 }],
  [TypeError, "failureRateThreshold", { failureRateTreshold: 0.5 }],
  ...COUNTS.flatMap((name) =>
    [1.5, 1_000_001].map((value): Wrong => [RangeError, name, { ...NEEDED, [name]: value }])
  ),
  ...FUNCTIONS.flatMap((name) =>
    [null, "log", 1, {}].map((value): Wrong => [TypeError, name, { [name]: value }])
  ),
  ...WORDS.flatMap((name) =>
    [null, "", "THROW", "constructor", 1, ["throw"]].map((value): Wrong => [
      TypeError,
      name,
      { [name]: value },
    ])
  ),
  ...[null, 42, ["circuits"], {}].map((table): Wrong => [TypeError, "table", { table }]),
  ...["historyMs", "countWithinMs"].flatMap((name) => [
    ...["1000", null, {}].map((value): Wrong => [TypeError, name, {
      maxStalenessMs: 1000,
      [name]: value,
    }]),
    ...[0, -1, NaN, 1e16].map((value): Wrong => [RangeError, name, {
      maxStalenessMs: 1000,
      [name]: value,
    }]),
  ]),
  ...["10", null].map((historyRows): Wrong => [TypeError, "historyRows", { historyRows }]),
  ...[0, 1.5, 10_000_001].map((historyRows): Wrong => [RangeError, "historyRows", { historyRows }]),
  ...[42, null, {}].map((instanceId): Wrong => [TypeError, "instanceId", { instanceId }]),
  ...["", "x".repeat(201)].map((instanceId): Wrong => [RangeError, "instanceId", { instanceId }]),
  [TypeError, "countWithinMs", { maxStalenessMs: undefined, countWithinMs: 1000 }],
  [TypeError, "countWithinMs", { maxStalenessMs: 1000, countWithinMS: 1000 }],
  [TypeError, "historyRows", { historyRow: 10 }],
  [TypeError, "instanceId", { instanceID: "gateway" }],
  [TypeError, "probeTimeoutMs", { probeTimeoutMs: 1000 }],
  [TypeError, "failureWindowMs", { failureWindowMs: 1000 }],
  [TypeError, "resetTimeoutMs", { resetTimeoutMS: 1000 }],
  [TypeError, "failureThreshold", { failureTreshold: 5 }],
  [TypeError, "halfOpenMax", { halfopenmax: 1 }],
];

/** One object for the policy and the store. */
const SHARED: StoreOptions = {
  failureThreshold: 5,
  resetTimeoutMs: 30_000,
  halfOpenMax: 2,
  failureOn: [500, 503],
  openStatusCode: 503,
  key: () => "api",
  onStateChange: () => {},
  skip: () => false,
  store: undefined,
};

const RIGHT: StoreOptions[] = [
  {},
  SHARED,
  { ...SHARED, openMessage: "down", timeout: 5, halfOpenMin: 1, key2: {} } as StoreOptions,
  { onError: () => {}, onOutageChange: () => {}, onOutage: "local", durability: "relaxed" },
  { resetTimeoutMS: undefined, now: undefined, onOutage: undefined } as StoreOptions,
  { historyMs: 0.5, historyRows: 1, instanceId: "x" },
  {
    historyMs: 9e12,
    historyRows: 10_000_000,
    instanceId: "x".repeat(200),
    countWithinMs: undefined,
  },
  { resetTimeoutMs: undefined, halfOpenMax: undefined, failureWindowMs: undefined },
  { resetTimeoutMs: 1000, successThreshold: 1000, rampUpMs: 0.5, resetBackoff: {} },
  { resetTimeoutMs: 1000, resetBackoff: { factor: 1, maxMs: 1000, jitter: 1 } },
  { resetTimeoutMs: 9e12, resetBackoff: { factor: undefined, jitter: undefined } },
  { resetTimeoutMs: 0.5, probeTimeoutMs: 0.5, failureThreshold: 1, failureWindowMs: 60_000.5 },
  {
    trip: "caller",
    resetTimeoutMs: 9e12,
    halfOpenMax: 10_000,
    failureThreshold: 10_000,
    failureWindowMs: 9e12,
  },
  { ...SHARED, failureThreshold: Infinity },
  { trip: "store", failureThreshold: 1 },
];

/** With a cache, a rate opens no circuit at once. */
const RATES: StoreOptions[] = [
  { failureThreshold: Infinity, failureRateThreshold: 1, minimumThroughput: 1 },
  { failureRateThreshold: 1e-9, windowMs: 0.5, minimumThroughput: 1_000_000 },
  { slowCallRateThreshold: 1, slowCallDurationMs: 9e12, windowMs: 9e12 },
  { ...SHARED, failureRateThreshold: 0.5, successThreshold: 3, rampUpMs: 1, resetBackoff: {} },
];

export function optionTests(runner: TestRunner, backend: ConformanceBackend): void {
  runner.test("options that are wrong are refused by name", async () => {
    for (const [type, named, options] of WRONG) {
      const error = await failureOf(() => backend.open(options as StoreOptions));
      assertEquals((error as Error).name, type.name, `${named}: ${error}`);
      assertMatch((error as Error).message, /^Cannot create store: .+/);
      assertEquals((error as Error).message.includes(`"${named}"`), true, String(error));
    }
  });

  runner.test("options that are right serve every call", async () => {
    for (const options of RIGHT) {
      await using session = await backend.open(options);
      const { store } = session;
      assertEquals((await store.recordFailure("api")).failureCount, 1);
      assertEquals((await store.transition("api", "open")).state, "open");
      assertEquals((await store.peek("api")).state, "open");
      await store.getState("api");
      assertEquals((await store.transition("api", "closed")).failureCount, 0);
      await store.forceOpen("api");
      assertEquals((await store.release("api")).state, "closed");
    }
  });

  runner.test("options of rates that are right serve every call", async () => {
    for (const options of RATES) {
      await using session = await backend.open(options);
      const { store } = session;
      assertEquals((await store.recordSuccess("api", { durationMs: 1 })).state, "closed");
      assertEquals((await store.recordFailure("api", { durationMs: 1 })).failureCount, 1);
      await store.getState("api");
      assertEquals((await store.transition("api", "closed")).failureCount, 0);
      assertEquals((await store.forceOpen("api")).state, "open");
      assertEquals((await store.release("api")).state, "closed");
    }
  });
}
