import { assertEquals, assertThrows } from "@std/assert";
import { assertOptions, isNearMiss } from "../src/option_names.ts";

/** Every name of this library's options, those of the store first. */
const OURS: readonly string[] = [
  ...["table", "now", "timeoutMs", "onOutage", "onOutageChange", "onError", "maxStalenessMs"],
  ...["countWithinMs", "durability", "pruneIdleMs", "maxCircuits", "historyMs", "historyRows"],
  ...["instanceId", "waitUntil", "trip", "failureThreshold", "failureWindowMs"],
  ...["failureRateThreshold", "slowCallRateThreshold", "slowCallDurationMs", "windowMs"],
  ...["minimumThroughput", "quorum", "resetTimeoutMs", "resetBackoff", "halfOpenMax"],
  ...["successThreshold", "probeTimeoutMs", "rampUpMs", "mode"],
  ...["state", "after", "limit", "idleMs", "reason", "forMs", "signal", "prepare"],
  ...["actor", "since", "rounds", "onBreak"],
];

/** Spellings that are meant to be ours. */
const MISTAKES: [given: string, ours: string][] = [
  ["resetTimeoutMS", "resetTimeoutMs"],
  ["resettimeoutms", "resetTimeoutMs"],
  ["RESET_TIMEOUT_MS", "resetTimeoutMs"],
  ["reset-timeout-ms", "resetTimeoutMs"],
  ["resetTimeout", "resetTimeoutMs"],
  ["resetTimeoutS", "resetTimeoutMs"],
  ["failureTreshold", "failureThreshold"],
  ["failureThreshhold", "failureThreshold"],
  ["failuresThreshold", "failureThreshold"],
  ["failureThresold", "failureThreshold"],
  ["halfopenmax", "halfOpenMax"],
  ["hafOpenMax", "halfOpenMax"],
  ["maxStalenesMs", "maxStalenessMs"],
  ["maxStaleness", "maxStalenessMs"],
  ["timeoutms", "timeoutMs"],
  ["timoutMs", "timeoutMs"],
  ["onOutageChanged", "onOutageChange"],
  ["onoutage", "onOutage"],
  ["maxCircuit", "maxCircuits"],
  ["prepar", "prepare"],
  ["prepared", "prepare"],
  ["Prepare", "prepare"],
  ["Limit", "limit"],
  ["limits", "limit"],
  ["raeson", "reason"],
  ["forms", "forMs"],
  ["idelMs", "idleMs"],
  ["Now", "now"],
  ["TABLE", "table"],
  ["tabel", "table"],
];

/** Names of other readers of the same object: of policies, other breakers, drivers and frameworks. */
const OTHERS: readonly string[] = [
  // Stoma's circuit breaker policy, and what its policies might come to have.
  ...["failureOn", "openStatusCode", "key", "onStateChange", "skip", "store", "openMessage"],
  ...["onOpen", "onClose", "onHalfOpen", "priority", "name", "enabled", "fallback", "methods"],
  ...["retryAfter", "retryAfterHeader", "statusCodes", "halfOpenMin", "halfOpenAfter", "paths"],
  // opossum, cockatiel and resilience4j.
  ...["timeout", "errorThresholdPercentage", "rollingCountTimeout", "rollingCountBuckets"],
  ...["rollingPercentilesEnabled", "capacity", "errorFilter", "cache", "volumeThreshold"],
  ...["allowWarmUp", "abortController", "enableSnapshots", "breaker", "initialState", "duration"],
  ...["threshold", "minimumRps", "slidingWindowSize", "minimumNumberOfCalls", "backoff"],
  ...["waitDurationInOpenState", "permittedNumberOfCallsInHalfOpenState", "recordExceptions"],
  // Drivers and pools.
  ...["host", "port", "user", "password", "database", "max", "min", "ssl", "schema", "statement"],
  ...["connectionString", "idleTimeoutMillis", "connectionTimeoutMillis", "statement_timeout"],
  ...["query_timeout", "idle_timeout", "max_lifetime", "fetch_types", "transform", "debug"],
  // Words that differ from a short one of ours in two letters.
  ...["title", "label", "later", "status", "start", "steal", "single", "nwo", "new", "error"],
  ...["minCircuits", "log", "logger", "metrics", "tracer", "tags", "id", "role", "model", "type"],
  ...["enum", "form", "idle", "forum", "season_id", "trips", "window", "code", "mod", "onStart"],
];

Deno.test("isNearMiss recognises misspelt names of ours", () => {
  const missed = MISTAKES.filter(([given, ours]) => !isNearMiss(given, ours));
  assertEquals(missed, []);
});

Deno.test("isNearMiss takes no option of others for one of ours", () => {
  const alarms = OTHERS.flatMap((given) =>
    OURS.filter((ours) => isNearMiss(given, ours)).map((ours) => `${given}: ${ours}`)
  );
  assertEquals(alarms, []);
});

Deno.test("isNearMiss takes no option of ours for another one of ours", () => {
  const alarms = OURS.flatMap((given) =>
    OURS.filter((ours) => given !== ours && isNearMiss(given, ours)).map((ours) => [given, ours])
  );
  assertEquals(alarms, []);
});

Deno.test("isNearMiss takes two letters for a mistake only in names of eight and more", () => {
  assertEquals(isNearMiss("tiemoutM", "timeoutMs"), true);
  assertEquals(isNearMiss("timeou", "timeoutMs"), false);
  assertEquals([isNearMiss("limti", "limit"), isNearMiss("limbo", "limit")], [true, false]);
  assertEquals([isNearMiss("nows", "now"), isNearMiss("NOW", "now")], [false, true]);
});

Deno.test("assertOptions names our option, never the given one", () => {
  assertThrows(
    () => assertOptions("create store", { resetTimeoutMS: 1000 }, OURS),
    TypeError,
    'Cannot create store: "resetTimeoutMs" must be spelt exactly so, ' +
      "received a similar name of 14 characters",
  );
});

Deno.test("assertOptions accepts what is not ours, and what is not given", () => {
  assertOptions("create store", Object.fromEntries(OTHERS.map((name) => [name, 1])), OURS);
  assertOptions("create store", Object.fromEntries(OURS.map((name) => [name, undefined])), OURS);
  assertOptions("create store", { resetTimeoutMS: undefined }, OURS);
  assertOptions("create store", Object.create(null), OURS);
});

Deno.test("assertOptions accepts a similar name of others beside ours", () => {
  assertOptions("create store", { resetTimeoutMs: 1000, resetTimeout: 1000 }, OURS);
  const options = { resetTimeoutMs: undefined, resetTimeout: 1000 };
  assertThrows(() => assertOptions("create store", options, OURS), TypeError);
});

Deno.test("assertOptions refuses what holds no options", () => {
  const wrong: [unknown, string][] = [
    [null, "null"],
    [42, "42"],
    ["circuits", "a string of 8 characters"],
    [() => {}, "a function"],
    [["limit"], "an array"],
    [new String("circuits"), "an instance of String"],
    [new URL("postgres://user:secret@localhost/app"), "an instance of URL"],
    [Promise.resolve({}), "an instance of Promise"],
  ];
  for (const [options, received] of wrong) {
    const { message } = assertThrows(() => assertOptions("list circuits", options, []), TypeError);
    assertEquals(
      message,
      `Cannot list circuits: "options" must be a plain object, received ${received}`,
    );
  }
});
