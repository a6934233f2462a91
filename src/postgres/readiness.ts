/** Whether a role can use a table as the store does, and what to do where it cannot. */

import { CircuitBreakerStoreError, SchemaError, StoreUnavailableError } from "../errors.ts";
import type { PostgresClient } from "../types.ts";
import type { TableName } from "./identifier.ts";
import { ADDED_COLUMNS, ORIGINAL_COLUMNS, SCHEMA_REMARK, SCHEMA_VERSION } from "./schema.ts";
import {
  type FoundPolicy,
  type FoundRelation,
  type Readiness,
  READINESS_STATEMENT,
  toReadiness,
} from "./statements/readiness.ts";
import { storeError } from "./store_error.ts";

/**
 * Throws unless every statement of the store can run, with what to do. It changes nothing, needs no
 * privilege, and has no deadline of its own.
 *
 * @throws {StoreUnavailableError} If the server cannot be reached or takes no writes.
 * @throws {SchemaError} If the table is missing, foreign, outdated or newer than this release.
 * @throws {CircuitBreakerStoreError} If a privilege is missing, if row level security can hide
 * circuits, or if the client does not return rows.
 */
export async function checkReadiness(client: PostgresClient, table: TableName): Promise<void> {
  let answer: unknown;
  try {
    answer = await client.query(READINESS_STATEMENT, [table.quoted]);
  } catch (error) {
    throw storeError(error, table, "check");
  }
  const readiness = toReadiness(answer);
  assertWritable(readiness);
  const { role, relation } = readiness;
  if (relation === null) {
    throw new SchemaError(
      readiness.hasSchema
        ? `Cannot check: the table ${
          shownTable(table)
        } does not exist, run migrate(client, table) first`
        : `Cannot check: the schema of ${shownTable(table)} does not exist, create it and run ` +
          "migrate(client, table)",
    );
  }
  assertSchema(relation);
  assertPrivileges(relation, role);
  assertRowsVisible(relation, role);
}

/** Where `default_transaction_read_only` can be set, by the server's word for it. */
const SOURCES: Record<string, string> = {
  "user": "the role",
  "database": "the database",
  "database user": "the role in this database",
  "client": "the options of the connection",
  "session": "the session",
};

function assertWritable(readiness: Readiness): void {
  const readOnly = (reason: string) =>
    new StoreUnavailableError(`Cannot check: ${reason}`, { sqlState: "25006" });
  if (readiness.isStandby) {
    throw readOnly("the server is a standby and takes no writes, connect to the primary");
  }
  if (!readiness.isReadOnly) return;
  if (!readiness.isReadOnlyByDefault) {
    throw readOnly("the client is in a read-only transaction, pass one that is in none");
  }
  const place = SOURCES[readiness.readOnlySource] ?? "the server";
  throw readOnly(
    `the client takes no writes, because default_transaction_read_only is on for ${place}, ` +
      "turn it off there",
  );
}

/** What a name can stand for beside an ordinary table. */
const KINDS: Record<string, string> = {
  c: "a composite type",
  f: "a foreign table",
  i: "an index",
  I: "a partitioned index",
  m: "a materialized view",
  p: "a partitioned table",
  S: "a sequence",
  v: "a view",
};

function assertSchema(relation: FoundRelation): void {
  const shown = shownRelation(relation);
  if (relation.kind !== "r") {
    const kind = KINDS[relation.kind] ?? "no ordinary table";
    throw new SchemaError(
      `Cannot check: ${shown} is ${kind} and not a circuit breaker table, use another name`,
    );
  }
  const version = Number(relation.remark?.split(SCHEMA_REMARK)[1]?.match(/^\d+/)?.[0] ?? 0);
  if (version > SCHEMA_VERSION) {
    throw new SchemaError(
      `Cannot check: the table ${shown} is of a newer release (schema ${version}), this one ` +
        `knows schema ${SCHEMA_VERSION}: upgrade this package`,
    );
  }
  const lacks = (names: readonly string[]) =>
    names.filter((name) => !relation.columns.includes(name));
  if (lacks(ORIGINAL_COLUMNS).length > 0) {
    throw new SchemaError(
      `Cannot check: the table ${shown} exists and is not a circuit breaker table, use another name`,
    );
  }
  const missing = lacks(ADDED_COLUMNS.map((definition) => definition.split(" ")[0]!));
  if (missing.length > 0) {
    throw new SchemaError(
      `Cannot check: the table ${shown} is outdated (it lacks ${missing.join(", ")}), ` +
        "run migrate(client, table)",
    );
  }
}

function assertPrivileges(relation: FoundRelation, role: string): void {
  const to = shownName(role);
  const grants: string[] = [];
  if (!relation.hasUsage) {
    grants.push(`grant usage on schema ${shownName(relation.schema)} to ${to}`);
  }
  if (relation.missingPrivileges.length > 0) {
    const names = relation.missingPrivileges.join(", ");
    grants.push(`grant ${names} on ${shownRelation(relation)} to ${to}`);
  }
  if (grants.length === 0) return;
  throw new CircuitBreakerStoreError(
    `Cannot check: privileges are missing, run: ${grants.join("; ")}`,
    { sqlState: "42501" },
  );
}

/** What row level security judges: select, insert, update and delete. */
const COMMANDS: readonly string[] = ["r", "a", "w", "d"];

/**
 * A circuit whose row is hidden reads as closed. Expressions of policies cannot be judged, so only
 * `true` is enough, in a permissive policy for each command and in all restrictive ones.
 */
function assertRowsVisible(relation: FoundRelation, role: string): void {
  if (!relation.isRowSecurityActive) return;
  const { policies } = relation;
  const restrictive = policies.filter((policy) =>
    !policy.isPermissive &&
    COMMANDS.some((command) => decidingExpressions(policy, command).some(isRestricting))
  );
  const isAdmitted = COMMANDS.every((command) =>
    policies.some((policy) => {
      const deciding = decidingExpressions(policy, command);
      return policy.isPermissive && deciding.length > 0 && deciding.every(isTrue);
    })
  );
  if (isAdmitted && restrictive.length === 0) return;
  const table = shownRelation(relation);
  const to = shownName(role);
  const policyFixes = restrictive.map(({ name }) => `drop policy ${shownName(name)} on ${table}`);
  if (!isAdmitted) {
    policyFixes.push(
      `create policy "circuit_breaker" on ${table} to ${to} using (true) with check (true)`,
    );
  }
  throw new CircuitBreakerStoreError(
    `Cannot check: row level security can hide circuits from ${to}, and an open circuit that is ` +
      `hidden reads as closed, run ${policyFixes.join("; ")}, or ` +
      `alter table ${table} disable row level security, or alter role ${to} bypassrls`,
    { sqlState: "42501" },
  );
}

/** The expressions by which a policy decides on a command; none where it has no say. */
function decidingExpressions(
  { command, using, withCheck }: FoundPolicy,
  asked: string,
): (string | null)[] {
  if (command !== "*" && command !== asked) return [];
  // A policy without its own check uses the other expression for new rows.
  const check = withCheck ?? using;
  if (asked === "a") return [check];
  return asked === "w" ? [using, check] : [using];
}

function isTrue(expression: string | null): boolean {
  return expression === "true";
}

/** A restrictive policy without an expression is not applied. */
function isRestricting(expression: string | null): boolean {
  return expression !== null && expression !== "true";
}

/** What is shown of names: others could hold a secret or harm a terminal. */
const PLAIN = /^[A-Za-z0-9_$-]{1,63}$/;

function shownName(name: string): string {
  return PLAIN.test(name) ? `"${name}"` : `(a name of ${name.length} characters)`;
}

function shownRelation({ schema, name }: FoundRelation): string {
  return `${shownName(schema)}.${shownName(name)}`;
}

function shownTable({ quoted }: TableName): string {
  const parts = quoted.match(/"(?:[^"]|"")*"/g)!;
  return parts.map((part) => shownName(part.slice(1, -1).replaceAll('""', '"'))).join(".");
}
