import { Admission } from "./admission/admission.ts";
import { observed, ObservedCircuits } from "./admission/observed_circuits.ts";
import { Refusals } from "./admission/refusals.ts";
import { CircuitCache } from "./cache/circuit_cache.ts";
import { isRequestBound } from "./edge/request_bound.ts";
import { History } from "./feed/history.ts";
import { Watches } from "./feed/watch.ts";
import { NOTHING_WAITS, Observation, type StoreGauges } from "./metrics/observation.ts";
import { KnownVersions } from "./known_versions.ts";
import type { ResolvedOptions } from "./options/resolve.ts";
import { BackgroundPruner } from "./outage/background_pruner.ts";
import { ErrorReports } from "./outage/error_reports.ts";
import { OutageGuard } from "./outage/guard.ts";
import { LocalCircuits } from "./outage/local_circuits.ts";
import { Outage } from "./outage/outage.ts";
import { Presence } from "./outage/presence.ts";
import type { OnStatement, StatementEvent, StatementKind } from "./ports.ts";
import { CircuitTable } from "./postgres/circuit_table.ts";
import { Dispatcher } from "./postgres/dispatcher.ts";
import { isDriverTimeout } from "./postgres/driver_timeout.ts";
import type { Demand } from "./postgres/executor.ts";
import type { TableName } from "./postgres/identifier.ts";
import { LogTrimmer } from "./postgres/log_trimmer.ts";
import { isConnectionLost } from "./postgres/lost_connection.ts";
import { checkReadiness } from "./postgres/readiness.ts";
import { runSingle } from "./postgres/single.ts";
import { TableTrimmer } from "./postgres/table_trimmer.ts";
import { TailDispatcher } from "./postgres/tail_dispatcher.ts";
import type { QuickCalls } from "./quick_calls.ts";
import { QuorumCircuits } from "./quorum/quorum_circuits.ts";
import { fleetRulesOf } from "./rules/voting.ts";
import { storeRuntime } from "./store_runtime.ts";
import { ClockOffset } from "./time/clock_offset.ts";
import type { CircuitInstance } from "./listing_types.ts";
import type { PostgresClient } from "./types.ts";

/** What only operators and their programs call, which see the errors themselves. */
const REPORTED_BY_CALLERS: readonly StatementKind[] = ["list", "force", "reset"];

/** In a runtime that is bound to requests the cache refreshes early: only a call begins a refresh. */
const EARLY_REFRESH = 0.5;

/** How long calls without a check still trust in an outage there, beside the time of a check. */
const OUTAGE_TRUST_MS = 1000;

/** The parts of a store that its methods use. */
export interface StoreParts {
  readonly admission: Admission;
  readonly watches: Watches;
  readonly history: History;
  readonly observation: Observation;
  /** What memory answers without waiting, where it answers anything. */
  readonly quickCalls: QuickCalls | undefined;
  /** The instances that were seen lately, in the caller's clock. */
  instances(): Promise<CircuitInstance[]>;
  /** Fails unless the store can be used. */
  check(): Promise<void>;
  /** Ends all work in the background, within one deadline. */
  close(): Promise<void>;
}

/**
 * Makes a store: at once, or at its first call where a module may neither draw random numbers nor start
 * timers before a request.
 */
export function assembleStore(
  client: PostgresClient,
  name: TableName,
  options: ResolvedOptions,
): StoreParts {
  let parts: BuiltStore | undefined;
  // What a module asks of a store before a request: it measures it, and makes a breaker over it.
  const gauges = () => parts?.gauges ?? NOTHING_WAITS;
  const observation = new Observation({
    isOut: () => gauges().isOut(),
    cacheAgeMs: () => gauges().cacheAgeMs(),
    pendingSuccesses: () => gauges().pendingSuccesses(),
    pendingRefusals: () => gauges().pendingRefusals(),
  });
  const build = () => parts ??= buildStore(client, name, options, observation);
  if (!isRequestBound()) return build();
  const early = { observation, quickCalls: undefined };
  return new Proxy({} as StoreParts, {
    get: (_, part) => Reflect.get(Object.hasOwn(early, part) ? early : build(), part),
  });
}

/** A store with what it knows at a moment. */
interface BuiltStore extends StoreParts {
  readonly gauges: StoreGauges;
}

/**
 * Builds a store from its floors, from the bottom up: statements, dispatcher, outage guard, cache,
 * quorum, admission. It sends nothing.
 */
function buildStore(
  client: PostgresClient,
  name: TableName,
  options: ResolvedOptions,
  observation: Observation,
): BuiltStore {
  const { now, rules, maxCircuits, maxStalenessMs, pruneIdleMs } = options;
  const reports = new ErrorReports(options.onError);
  const runtime = storeRuntime({ ...options, reports });
  const { deadlines, timers, begin, deadAfterMs } = runtime;
  const wasHeldUpSince = (moment: number) => deadlines.wasHeldUpSince(moment);
  const label = options.instanceId ?? crypto.randomUUID();
  const offset = new ClockOffset();
  const clock = {
    // Looked up at each call, as everywhere else: a test may replace it later.
    now: now ?? (() => Date.now()),
    toCaller: (time: number) => offset.toCaller(time),
  };

  const known = KnownVersions.of(client, name.quoted);
  const fleetRules = fleetRulesOf(rules);
  const table = new CircuitTable(client, name, {
    now,
    rules: fleetRules,
    durability: options.durability,
    actor: label,
    onLogged: (changes, circuits) => {
      for (const { key, version } of circuits) known.note(key, version);
      announcer.announce();
      logTrimmer.onLogged(changes.length);
      const { observer } = observation;
      if (observer?.onChange !== undefined) changes.forEach((each) => observer.onChange!(each));
    },
    runAlone: () => runtime.runAlone(client),
    isPerCall: runtime.isPerCall,
    wasHeldUpSince,
    onTime: (sent, server, received) => offset.observe(sent, server, received),
  });
  /** The clock that decides, as far as this instance knows it. */
  const decidingNow = now ?? (() => Date.now() - offset.value);
  const local = options.onOutage === "throw"
    ? undefined
    : new LocalCircuits(fleetRules, decidingNow);
  const onStatement = (event: StatementEvent) => {
    outage.onStatement(event);
    observation.observer?.onStatement?.(event);
    if (event.error === undefined) {
      refusals.onAnswered();
      presence?.onAnswered();
    } else if (!REPORTED_BY_CALLERS.includes(event.kind)) {
      reports.report(event.error);
    }
  };
  const outage = new Outage({
    check: () =>
      watched("check", onStatement, async () => {
        await deadlines.race(deadlines.begin(), "check database", table.sessions.check());
      }),
    wasHeldUpSince,
    wasLost: (error) => isConnectionLost(error) || isDriverTimeout(error),
    timers,
    patienceMs: deadAfterMs && deadAfterMs + OUTAGE_TRUST_MS,
    onChange: (change) => {
      local?.clear();
      reports.run(() => options.onOutageChange?.(change));
    },
  });
  const single = { deadlines, onStatement };
  const run = <Result>(
    kind: StatementKind,
    action: string,
    send: (demand: Demand) => Promise<Result>,
    keys = 0,
  ) => runSingle(single, deadlines.begin(), { kind, action, keys, isBackground: true }, send);
  const announcer = runtime.announcer(() =>
    run("announce", "announce changes", (demand) => table.log.announce(demand))
  );
  const { historyMs, historyRows } = options;
  const logTrimmer = new LogTrimmer(
    () =>
      runtime.background(() =>
        run("prune", "prune changes", (demand) => table.log.prune(historyMs, historyRows, demand))
      ),
    options,
    timers,
  );
  const trimmer = maxCircuits === undefined ? undefined : new TableTrimmer(
    maxCircuits,
    () =>
      runtime.background(() =>
        run("prune", "trim circuits", (demand) => table.trim(maxCircuits, demand))
      ),
  );
  const dispatcher = new Dispatcher(table, {
    ...single,
    trimmer,
    gather: runtime.gather(onStatement),
  });
  const tail = new TailDispatcher(table, single, (rows) => trimmer?.onAdded(rows));
  const guard = new OutageGuard(dispatcher, tail, outage, local);
  const feed = runtime.feed(client, name);
  const refusals = new Refusals({
    isOut: () => guard.isOut,
    count: (calls) =>
      runtime.background(() =>
        run(
          "flush",
          "count refusals",
          (demand) => table.countRefused(calls, demand),
          calls.length,
        )
      ),
    deadAfterMs,
  });
  const instance = { id: crypto.randomUUID(), label, boundMs: Math.ceil(maxStalenessMs) };
  // A cache shows the instance beside its refreshes.
  const presence = maxStalenessMs > 0
    ? undefined
    : new Presence(() =>
      runtime.background(() =>
        run("flush", "register instance", (demand) => table.register(instance, demand))
      )
    );
  const cache = maxStalenessMs === 0 ? undefined : new CircuitCache(guard, {
    instance,
    maxStalenessMs,
    countWithinMs: options.countWithinMs,
    hasFailureWindow: rules.failureWindowMs !== undefined,
    rateWindowMs: rules.trip.rates?.windowMs,
    hasSlowRate: rules.trip.rates?.slowRate !== undefined,
    deadlines,
    now,
    onError: reports.report,
    feed,
    timers,
    refreshAfter: runtime.isPerCall ? EARLY_REFRESH : undefined,
    answerWithinMs: deadAfterMs,
  });
  const circuits = cache ?? guard;
  // With a quorum no rule opens the fleet's circuits: the own circuits of each instance vote.
  const quorum = rules.quorum === undefined ? undefined : new QuorumCircuits(circuits, {
    rules,
    label,
    now: decidingNow,
    deadlines,
    quick: cache,
  });
  const pruner = pruneIdleMs === undefined ? undefined : new BackgroundPruner(
    (idleMs, limit) =>
      runtime.background(() => guard.prune(deadlines.begin(), { idleMs, limit, isElected: true })),
    pruneIdleMs,
  );
  const watches = new Watches({
    log: guard,
    begin,
    feed,
    clock,
    maxStalenessMs,
    now,
    known: () => known.copy(),
  });
  const judged = quorum ?? circuits;
  const gauges: StoreGauges = {
    isOut: () => guard.isOut,
    cacheAgeMs: () => cache?.ageMs,
    pendingSuccesses: () => cache?.pending ?? 0,
    pendingRefusals: () => refusals.pending,
  };
  // Where work is bound to requests, each call begins what is due: none may pass it by.
  const quickCache = runtime.isPerCall ? undefined : cache;
  const quick = quorum === undefined ? quickCache : quorum.quick;
  const admission = new Admission({
    ...options.isObserving
      ? observed(new ObservedCircuits(judged, rules, quick), rules)
      : { circuits: judged, rules, quick },
    clock,
    begin,
    onError: reports.report,
    onRefused: (circuit) => refusals.note(circuit),
    observed: observation,
  });
  return {
    admission,
    watches,
    observation,
    gauges,
    quickCalls: admission.quickCalls,
    instances: async () =>
      (await guard.instances(begin())).map(({ id, label, library, boundMs, seenAt }) => ({
        id,
        label,
        libraryVersion: library,
        maxStalenessMs: boundMs,
        lastSeenAt: clock.toCaller(seenAt),
      })),
    history: new History({ log: guard, begin, clock }),
    async check() {
      await deadlines.race(begin(), "check store", checkReadiness(client, name));
    },
    async close() {
      const call = deadlines.begin();
      pruner?.end();
      logTrimmer.end();
      watches.end();
      presence?.end();
      const counted = deadlines.race(call, "count refusals", refusals.end()).catch(() => {});
      const ended = Promise.all([quorum?.end(call), admission.close(call), counted]);
      try {
        await cache?.end(call);
      } finally {
        await ended;
        outage.end();
      }
      // After it, nothing of the store is under way on the client, as far as calls have ended.
      await deadlines.race(call, "close store", runtime.end()).catch(() => {});
    },
  };
}

/** Runs statements that are no calls, and reports them as one. */
async function watched(
  kind: StatementKind,
  onStatement: OnStatement,
  run: () => Promise<void>,
): Promise<void> {
  const beganAt = performance.now();
  let error: unknown;
  try {
    await run();
  } catch (reason) {
    error = reason;
    throw reason;
  } finally {
    onStatement({ kind, keys: 0, calls: 0, rows: 0, ms: performance.now() - beganAt, error });
  }
}
