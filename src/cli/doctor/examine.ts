/** Runs all checks of `doctor`, each as far as the others let it. */

import { isUnavailable } from "../../errors.ts";
import { messageOf } from "../../foreign_message.ts";
import { parseTableName, type TableName } from "../../postgres/identifier.ts";
import { planMigration } from "../../postgres/plan_migration.ts";
import { type ReadinessProblem, readinessProblems } from "../../postgres/readiness.ts";
import { sqlStateOf } from "../../postgres/sql_state.ts";
import { storeError } from "../../postgres/store_error.ts";
import { withDeadline } from "../../time/deadlines.ts";
import type { PostgresClient } from "../../types.ts";
import { VERSION } from "../../version.ts";
import {
  type EndlessForce,
  endlessForcesStatement,
  type InstanceFacts,
  instanceFactsStatement,
  type PartFacts,
  partFactsStatement,
  rowCountStatement,
  SERVER_FACTS_STATEMENT,
  type ServerFacts,
  toFacts,
} from "../../postgres/statements/examine.ts";
import { type Check, type Finding, problem, warning } from "./finding.ts";
import {
  BLOAT_FROM_BYTES,
  judgeBloat,
  judgeClock,
  judgeForces,
  judgeForeignCode,
  judgeInstances,
  judgeServer,
  judgeSettings,
} from "./judge.ts";
import { examineNotifications } from "./notifications.ts";

/** How many statements of a migration a message shows, and how much of each. */
const MAX_PLANNED = 3;
const MAX_PLANNED_LENGTH = 120;

/** SQLSTATE of a `statement_timeout`. */
const QUERY_CANCELED = "57014";

/** What is examined. */
export interface Patient {
  readonly client: PostgresClient;
  readonly listeningClient: PostgresClient;
  readonly table: string;
  readonly timeoutMs: number;
  /** This machine's clock. */
  now(): number;
}

/** What an examination found. */
export interface Examination {
  /** What the server says of itself. */
  readonly server: ServerFacts;
  readonly findings: readonly Finding[];
  /** What could not be looked at, because of a problem before it. */
  readonly skipped: readonly Check[];
}

/**
 * Examines the database.
 *
 * @throws {StoreUnavailableError | StoreTimeoutError} If it cannot be reached, or stops to answer.
 */
export async function examine(patient: Patient): Promise<Examination> {
  const { client, timeoutMs, table } = patient;
  const name = parseTableName("examine", table);
  const findings: Finding[] = [];
  const skipped: Check[] = [];
  const within = <Result>(work: Promise<Result>): Promise<Result> =>
    withDeadline(timeoutMs, "examine", work);
  const ask = async <Facts>(statement: string): Promise<Facts> => {
    try {
      return toFacts<Facts>(await within(client.query(statement)));
    } catch (error) {
      throw storeError(error, name, "examine");
    }
  };

  // The first statement also waits for the connection, which must not count as a difference.
  await ask<ServerFacts>(SERVER_FACTS_STATEMENT);
  const sentAt = patient.now();
  const server = await ask<ServerFacts>(SERVER_FACTS_STATEMENT);
  const receivedAt = patient.now();
  findings.push(...judgeServer(server));

  const blocking = await readiness(patient, name, within);
  findings.push(...blocking);
  const isThere = !blocking.some(({ check }) => check === "schema");
  if (isThere) findings.push(...await drift(patient, within));

  const parts = await ask<PartFacts[]>(partFactsStatement(name));
  if (parts.length === 0) skipped.push("privileges", "row security", "foreign code");
  findings.push(...judgeForeignCode(parts));
  findings.push(
    ...judgeClock(server.now - (sentAt + receivedAt) / 2, (receivedAt - sentAt) / 2),
    ...judgeSettings(server),
    ...await examineNotifications(patient.listeningClient, timeoutMs),
  );
  if (blocking.length === 0) {
    const counted: (PartFacts & { counted: number | undefined })[] = [];
    for (const part of parts) {
      const isLarge = part.bytes >= BLOAT_FROM_BYTES;
      counted.push({
        ...part,
        counted: isLarge
          ? Number(await ask(rowCountStatement({ quoted: quotedName(part) })))
          : undefined,
      });
    }
    findings.push(...judgeBloat(counted));
    const instances = await ask<InstanceFacts[]>(instanceFactsStatement(name));
    findings.push(...judgeInstances(instances, VERSION));
    findings.push(...judgeForces(await ask<EndlessForce[]>(endlessForcesStatement(name))));
  } else {
    skipped.push("bloat", "instances", "forces");
  }
  return { server, findings, skipped };
}

/** What keeps the store from working. */
async function readiness(
  { client }: Patient,
  table: TableName,
  within: <Result>(work: Promise<Result>) => Promise<Result>,
): Promise<Finding[]> {
  const problems: ReadinessProblem[] = [];
  await within((async () => {
    for await (const each of readinessProblems(client, table)) problems.push(each);
  })());
  return problems.map(({ check, error }) => problem(check, reasonOf(error)));
}

/** What `migrate` would do although the store can work: a lost index, another setting, a lost default. */
async function drift(
  { client, table }: Patient,
  within: <Result>(work: Promise<Result>) => Promise<Result>,
): Promise<Finding[]> {
  let planned: string[];
  try {
    planned = await within(planMigration(client, table));
  } catch (error) {
    if (sqlStateOf(error) === QUERY_CANCELED) {
      return [warning("schema", "the server ended the comparison with what migrate makes")];
    }
    if (isUnavailable(error)) throw error;
    return [problem("schema", reasonOf(error))];
  }
  if (planned.length === 0) return [];
  const shown = planned.slice(0, MAX_PLANNED).map((statement) => {
    const line = statement.replace(/\s+/g, " ");
    return line.length > MAX_PLANNED_LENGTH ? `${line.slice(0, MAX_PLANNED_LENGTH)}…` : line;
  });
  if (planned.length > MAX_PLANNED) shown.push(`${planned.length - MAX_PLANNED} more`);
  return [
    problem(
      "schema",
      `the schema differs from what migrate makes, run migrate; it would run: ${shown.join("; ")}`,
    ),
  ];
}

/** A message of ours without its beginning, "Cannot check: ". */
function reasonOf(error: unknown): string {
  return messageOf(error).replace(/^Cannot [a-z ]+: /, "");
}

function quotedName({ schema, name }: PartFacts): string {
  return [schema, name].map((part) => `"${part.replaceAll('"', '""')}"`).join(".");
}
