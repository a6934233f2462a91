import { Admission } from "./admission/admission.ts";
import { CacheInvalidation } from "./cache/invalidation.ts";
import { runAloneOf } from "./client_traits.ts";
import { Watches } from "./feed/watch.ts";
import type { ResolvedOptions } from "./options/resolve.ts";
import { BackgroundPruner } from "./outage/background_pruner.ts";
import { ErrorReports } from "./outage/error_reports.ts";
import { OutageGuard } from "./outage/guard.ts";
import { LocalCircuits } from "./outage/local_circuits.ts";
import { Outage } from "./outage/outage.ts";
import type { OnStatement, StatementEvent, StatementKind } from "./ports.ts";
import { ChangeFeed } from "./postgres/change_feed.ts";
import { CircuitTable } from "./postgres/circuit_table.ts";
import { Dispatcher } from "./postgres/dispatcher.ts";
import type { TableName } from "./postgres/identifier.ts";
import { checkReadiness } from "./postgres/readiness.ts";
import { ClockOffset } from "./time/clock_offset.ts";
import { Deadlines } from "./time/deadlines.ts";
import type { PostgresClient } from "./types.ts";

/** What only operators and their programs call, which see the errors themselves. */
const REPORTED_BY_CALLERS: readonly StatementKind[] = ["list", "force", "reset"];

/** The parts of a store that its methods use. */
export interface StoreParts {
  readonly admission: Admission;
  readonly cache: CacheInvalidation | undefined;
  readonly deadlines: Deadlines;
  readonly outage: Outage;
  readonly pruner: BackgroundPruner | undefined;
  readonly watches: Watches;
  /** Fails unless the store can be used. */
  check(): Promise<void>;
}

/**
 * Builds a store from its floors, from the bottom up: statements, dispatcher, outage guard, cache,
 * admission. It sends nothing.
 */
export function assembleStore(
  client: PostgresClient,
  table: TableName,
  options: ResolvedOptions,
): StoreParts {
  const { now, rules, timeoutMs, maxCircuits, maxStalenessMs, pruneIdleMs } = options;
  const deadlines = new Deadlines(timeoutMs);
  const begin = () => deadlines.begin();
  const wasHeldUpSince = (moment: number) => deadlines.wasHeldUpSince(moment);
  const reports = new ErrorReports(options.onError);
  const offset = new ClockOffset();
  const clock = {
    // Looked up at each call, as everywhere else: a test may replace it later.
    now: now ?? (() => Date.now()),
    toCaller: (time: number) => offset.toCaller(time),
  };

  const circuits = new CircuitTable(client, table, {
    now,
    rules,
    durability: options.durability,
    runAlone: () => runAloneOf(client),
    wasHeldUpSince,
    onTime: (sent, server, received) => offset.observe(sent, server, received),
  });
  const local = options.onOutage === "throw"
    ? undefined
    : new LocalCircuits(rules, now ?? (() => Date.now() - offset.value));
  const onStatement = (event: StatementEvent) => {
    outage.onStatement(event);
    if (event.error !== undefined && !REPORTED_BY_CALLERS.includes(event.kind)) {
      reports.report(event.error);
    }
  };
  const outage = new Outage({
    check: () =>
      watched("check", onStatement, async () => {
        await deadlines.race(begin(), "check database", circuits.sessions.check());
      }),
    wasHeldUpSince,
    onChange: (change) => {
      local?.clear();
      reports.run(() => options.onOutageChange?.(change));
    },
  });
  const dispatcher = new Dispatcher(circuits, { deadlines, maxCircuits, onStatement });
  const guard = new OutageGuard(dispatcher, outage, local);
  const feed = new ChangeFeed(client, table, { timeoutMs, onError: reports.report });
  const cache = maxStalenessMs === 0
    ? undefined
    : new CacheInvalidation(guard, feed, { maxStalenessMs, deadlines, now });
  return {
    admission: new Admission({ circuits: cache?.cache ?? guard, rules, clock, begin }),
    cache,
    deadlines,
    outage,
    pruner: pruneIdleMs === undefined ? undefined : new BackgroundPruner(
      (idleMs, limit) => guard.prune(begin(), { idleMs, limit, isElected: true }),
      pruneIdleMs,
    ),
    watches: new Watches({ circuits: guard, feed, clock, begin, maxStalenessMs }),
    check: () => deadlines.race(begin(), "check store", checkReadiness(client, table)),
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
    onStatement({ kind, keys: 0, rows: 0, ms: performance.now() - beganAt, error });
  }
}
