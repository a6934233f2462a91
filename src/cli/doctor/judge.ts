/** What the facts mean: each function judges one thing and says what to do. */

import { shownName, shownRelation } from "../../postgres/shown_name.ts";
import { shellQuoted } from "../text.ts";
import { shownDuration } from "../times.ts";
import type {
  EndlessForce,
  InstanceFacts,
  PartFacts,
  ServerFacts,
} from "../../postgres/statements/examine.ts";
import { type Finding, problem, warning } from "./finding.ts";

/** The oldest server that the store is tested with. */
const MIN_VERSION = 140_000;

/** Clocks that differ by more make an operator misread times. */
const MAX_CLOCK_DIFFERENCE_MS = 1000;

/** A transaction that is open for longer keeps the server from cleaning up. */
const MAX_TRANSACTION_MS = 10 * 60_000;

/** A statement timeout below this ends statements that only waited for a busy row, in milliseconds. */
const MIN_STATEMENT_TIMEOUT_MS = 100;

/** The share of `max_connections` from which on new instances may get none. */
const MAX_CONNECTION_SHARE = 0.9;

/** A table is judged from this size on. */
export const BLOAT_FROM_BYTES: number = 8 * 1024 * 1024;

/** A row has at most about 4 kB, and half of every page stays free. */
const MAX_BYTES_PER_ROW = 16 * 1024;

/** Other instances remove the row of one that was not seen for 15 minutes, when they next prune. */
const MAX_UNSEEN_MS = 2 * 3_600_000;

/** How many names a message lists. */
const MAX_NAMES = 5;

/** The server's version and encoding. */
export function judgeServer({ settings }: ServerFacts): Finding[] {
  const findings: Finding[] = [];
  if (Number(settings.server_version_num) < MIN_VERSION) {
    findings.push(problem("server", "the server is older than PostgreSQL 14, upgrade it"));
  }
  if (settings.server_encoding !== "UTF8") {
    findings.push(warning(
      "server",
      `the database's encoding is ${settings.server_encoding} and not UTF8: circuits whose keys have ` +
        "other characters fail",
    ));
  }
  return findings;
}

/** How far the clocks differ. `differenceMs` is what the server is ahead, `uncertaintyMs` half a round trip. */
export function judgeClock(differenceMs: number, uncertaintyMs: number): Finding[] {
  const difference = Math.abs(differenceMs) - uncertaintyMs;
  if (difference <= MAX_CLOCK_DIFFERENCE_MS) return [];
  return [warning(
    "clock",
    `the database's clock is ${shownDuration(Math.abs(differenceMs))} ${
      differenceMs > 0 ? "ahead of" : "behind"
    } this machine's: circuits work, because one clock decides, but times in logs disagree. ` +
      "Synchronise both",
  )];
}

/** Settings of the server, of the role or of the connection. */
export function judgeSettings(facts: ServerFacts): Finding[] {
  const { settings, connections, oldestTransactionMs, oldestPreparedMs } = facts;
  const findings: Finding[] = [];
  const warn = (message: string) => void findings.push(warning("settings", message));
  const isolation = settings.default_transaction_isolation;
  if (isolation !== "read committed") {
    warn(
      `default_transaction_isolation is ${isolation}: statements on a busy circuit fail and are sent ` +
        'again, set it to "read committed" for the role',
    );
  }
  const statementTimeout = Number(settings.statement_timeout);
  if (statementTimeout > 0 && statementTimeout < MIN_STATEMENT_TIMEOUT_MS) {
    warn(
      `statement_timeout is ${statementTimeout} ms: it ends statements that only waited for a busy ` +
        "circuit, set it to about the store's timeoutMs",
    );
  }
  if (settings.plan_cache_mode === "force_custom_plan") {
    warn("plan_cache_mode is force_custom_plan: planning costs more than the statements, reset it");
  }
  if (settings.synchronous_commit === "off") {
    warn(
      "synchronous_commit is off: a crash of the server forgets what it acknowledged last, openings " +
        "too, set it on for the role",
    );
  }
  for (const name of ["fsync", "full_page_writes"]) {
    if (settings[name] === "off") {
      warn(`${name} is off: a crash of the machine can destroy the database, switch it on`);
    }
  }
  for (const name of ["autovacuum", "track_counts"]) {
    if (settings[name] === "off") {
      warn(`${name} is off: dead rows pile up and circuits get slow, switch it on`);
    }
  }
  const most = Number(settings.max_connections);
  if (connections >= most * MAX_CONNECTION_SHARE) {
    warn(
      `${connections} of ${most} connections are in use: new instances may get none, use a pooler or ` +
        "raise max_connections",
    );
  }
  if (oldestTransactionMs > MAX_TRANSACTION_MS) {
    warn(
      `a transaction has been open for ${
        shownDuration(oldestTransactionMs)
      }: the server cannot remove ` +
        "dead rows, end it (pg_stat_activity has its pid)",
    );
  }
  if (oldestPreparedMs > MAX_TRANSACTION_MS) {
    warn(
      `a prepared transaction is ${
        shownDuration(oldestPreparedMs)
      } old: the server cannot remove dead ` +
        "rows, commit or roll it back (pg_prepared_xacts has its name)",
    );
  }
  return findings;
}

/** Triggers, rules and policies. Those that certainly keep the store from working are problems of readiness. */
export function judgeForeignCode(parts: readonly PartFacts[]): Finding[] {
  return parts.flatMap((part) =>
    part.foreign.map(([kind, name]) => {
      const shown = `${kind} ${shownName(name)} on ${shownRelation(part)}`;
      return warning(
        "foreign code",
        `the ${shown} is not this library's: it can slow down, change or hide what the store does, drop ` +
          `it unless you need it (drop ${shown})`,
      );
    })
  );
}

/** Tables that are much larger than what is in them. */
export function judgeBloat(
  parts: readonly (PartFacts & { counted: number | undefined })[],
): Finding[] {
  return parts.filter(({ bytes, counted }) =>
    bytes >= BLOAT_FROM_BYTES && counted !== undefined &&
    bytes / Math.max(1, counted) > MAX_BYTES_PER_ROW
  ).map((part) =>
    warning(
      "bloat",
      `${shownRelation(part)} takes ${Math.round(part.bytes / 1024 / 1024)} MB for ` +
        `${part.counted} rows, look for old transactions, then run vacuum full ${
          shownRelation(part)
        }, which locks it for a moment`,
    )
  );
}

/** Instances of other versions, and those that have gone and whose rows stay. */
export function judgeInstances(instances: readonly InstanceFacts[], version: string): Finding[] {
  const findings: Finding[] = [];
  const gone = instances.filter(({ unseenMs }) => unseenMs > MAX_UNSEEN_MS);
  if (gone.length > 0) {
    findings.push(warning(
      "instances",
      `${gone.length} of ${instances.length} instances have not been seen for ${
        shownDuration(Math.min(...gone.map(({ unseenMs }) => unseenMs)))
      } or more (${
        namesOf(gone)
      }): the others would have removed their rows, so look whether any runs`,
    ));
  }
  const living = instances.filter((each) => !gone.includes(each));
  const others = living.filter(({ library }) => library !== version && library !== "");
  if (others.length > 0) {
    const versions = [...new Set(others.map(({ library }) => library))].toSorted();
    findings.push(warning(
      "instances",
      `${others.length} of ${living.length} instances use another version than this program's ${version}: ` +
        `${versions.map(shellQuoted).join(", ")} (${namesOf(others)}), finish the rollout`,
    ));
  }
  return findings;
}

function namesOf(instances: readonly InstanceFacts[]): string {
  const names = instances.slice(0, MAX_NAMES).map(({ label }) => shellQuoted(label));
  if (instances.length > MAX_NAMES) names.push(`${instances.length - MAX_NAMES} more`);
  return names.join(", ");
}

/** Circuits that an operator forced without an end. */
export function judgeForces(forces: readonly EndlessForce[]): Finding[] {
  if (forces.length === 0) return [];
  const names = forces.slice(0, MAX_NAMES).map(({ key, state, ageMs }) =>
    `${shellQuoted(key)} (${state} for ${shownDuration(ageMs)})`
  );
  if (forces.length > MAX_NAMES) names.push(`${forces.length - MAX_NAMES} more`);
  return [warning(
    "forces",
    `circuits are forced without an end: ${
      names.join(", ")
    }. No probe and no failure moves them, ` +
      "release them when they are no longer needed",
  )];
}
