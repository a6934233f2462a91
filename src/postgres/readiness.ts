/** Whether a role can use the tables as the store does, and what to do where it cannot. */

import { CircuitBreakerStoreError, SchemaError, StoreUnavailableError } from "../errors.ts";
import type { PostgresClient } from "../types.ts";
import {
  KIND_NAMES,
  KINDS,
  ORIGINAL_COLUMNS,
  OTHER_KIND,
  PARTS,
  SCHEMA_VERSION,
  type Table,
  TABLES,
  TOKEN_LIBRARY,
} from "./catalogue.ts";
import type { TableName } from "./identifier.ts";
import { assertRowsVisible } from "./row_security.ts";
import { shownName, shownRelation } from "./shown_name.ts";
import {
  type Content,
  contentStatement,
  type FoundPart,
  type Readiness,
  READINESS_STATEMENT,
  toContent,
  toReadiness,
} from "./statements/readiness.ts";
import { storeError } from "./store_error.ts";

/**
 * Throws unless every statement of the store can run, with what to do. It changes nothing, needs no
 * privilege that the store does not need, and has no deadline of its own.
 *
 * @throws {StoreUnavailableError} If the server cannot be reached or takes no writes.
 * @throws {SchemaError} If a table is missing, foreign, outdated or newer than this release, or if
 * others put a rule or a trigger on it.
 * @throws {CircuitBreakerStoreError} If a privilege is missing, if row level security can hide
 * circuits, or if the client does not return rows.
 */
export async function checkReadiness(client: PostgresClient, table: TableName): Promise<void> {
  for await (const { error } of readinessProblems(client, table)) throw error;
}

/** What a check is about. */
export type ReadinessCheck = "server" | "schema" | "privileges" | "row security";

/** Something that keeps the store from working. */
export interface ReadinessProblem {
  readonly check: ReadinessCheck;
  /** Says what it is and what to do. */
  readonly error: unknown;
}

/** Finds what {@linkcode checkReadiness} throws, and goes on as far as that makes sense. */
export async function* readinessProblems(
  client: PostgresClient,
  table: TableName,
): AsyncGenerator<ReadinessProblem> {
  const ask = async (statement: string, params: string[]) => {
    try {
      return await client.query(statement, params);
    } catch (error) {
      throw storeError(error, table, "check");
    }
  };
  const names = PARTS.map((part) => part === "circuits" ? table.quoted : table[part].quoted);
  const readiness = toReadiness(await ask(READINESS_STATEMENT, names));
  yield* failureOf("server", () => assertWritable(readiness));
  const [circuits] = readiness.parts;
  if (circuits === undefined) {
    const error = new SchemaError(
      readiness.hasSchema
        ? `Cannot check: the table ${
          shownTable(table)
        } does not exist, run migrate(client, table) first`
        : `Cannot check: the schema of ${shownTable(table)} does not exist, create it and run ` +
          "migrate(client, table)",
    );
    yield { check: "schema", error };
    return;
  }
  const differences = [...failureOf("schema", () => assertSchema(circuits, readiness.parts))];
  yield* differences;
  const missing = [...failureOf("privileges", () => assertPrivileges(readiness))];
  yield* missing;
  for (const found of readiness.parts) {
    yield* failureOf("row security", () => assertRowsVisible(found, readiness.role));
  }
  // The next question fails where one of these does not hold.
  if (differences.length > 0 || missing.length > 0) return;
  const content = toContent(await ask(contentStatement(table), []));
  yield* failureOf("schema", () => assertContent(circuits, content));
}

function* failureOf(check: ReadinessCheck, assert: () => void): Generator<ReadinessProblem> {
  try {
    assert();
  } catch (error) {
    yield { check, error };
  }
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

function assertSchema(circuits: FoundPart, parts: readonly FoundPart[]): void {
  const shown = shownRelation(circuits);
  if (circuits.kind !== KINDS.circuits) {
    const kind = KIND_NAMES[circuits.kind] ?? OTHER_KIND;
    throw new SchemaError(
      `Cannot check: ${shown} is ${kind} and not a circuit breaker table, use another name`,
    );
  }
  const known = TABLES[0]!.columns.filter(({ name }) =>
    circuits.columns.some(([found]) => found === name)
  );
  const hasKey = known.some(({ name }) => name === "key");
  if (!hasKey || known.length < ORIGINAL_COLUMNS.length) throw foreignTable(shown);
  for (const found of parts) assertPart(found, circuits);
  const missing = [
    ...TABLES.flatMap((table) => missingFrom(table, parts)),
    ...PARTS.filter((part) => !parts.some((found) => found.part === part)),
  ];
  if (missing.length > 0) {
    throw new SchemaError(
      `Cannot check: the table ${shown} is outdated (it lacks ${missing.join(", ")}), ` +
        "run migrate(client, table)",
    );
  }
  const versions = parts.find(({ part }) => part === "versions")!;
  if (!versions.isPlainSequence) {
    throw new SchemaError(
      `Cannot check: the sequence ${
        shownRelation(versions)
      } has other settings than migrate gives ` +
        "it, run migrate(client, table)",
    );
  }
}

function foreignTable(shown: string): SchemaError {
  return new SchemaError(
    `Cannot check: the table ${shown} exists and is not a circuit breaker table, use another name`,
  );
}

/** Throws where others own or changed what stands under a name of the schema. */
function assertPart(found: FoundPart, circuits: FoundPart): void {
  const shown = shownRelation(found);
  if (found.kind !== KINDS[found.part]) {
    throw new SchemaError(
      `Cannot check: ${shown} is ${KIND_NAMES[found.kind] ?? OTHER_KIND} and not ` +
        `${KIND_NAMES[KINDS[found.part]]}, drop or rename it and run migrate(client, table)`,
    );
  }
  if (found.owner !== circuits.owner) {
    throw new SchemaError(
      `Cannot check: ${shown} belongs to ${shownName(found.owner)} and not to ` +
        `${shownName(circuits.owner)}, as ${
          shownRelation(circuits)
        } does, drop or rename it and run ` +
        "migrate(client, table)",
    );
  }
  if (found.isHidden) {
    throw new SchemaError(
      `Cannot check: the search path of the role hides ${shown}, name the table with its schema`,
    );
  }
  const [intruder] = found.intruders;
  if (intruder !== undefined) {
    const [kind, name] = intruder;
    throw new SchemaError(
      `Cannot check: the ${kind} ${
        shownName(name)
      } can change what the store does with ${shown}, ` +
        `run drop ${kind} ${shownName(name)} on ${shown}`,
    );
  }
}

/** The columns and the key that a table lacks, as words. Those of the circuits have no prefix. */
function missingFrom(table: Table, parts: readonly FoundPart[]): string[] {
  const found = parts.find(({ part }) => part === table.part);
  if (found === undefined) return [];
  const prefix = table.part === "circuits" ? "" : `${table.part}.`;
  const missing: string[] = [];
  for (const { name, type } of table.columns) {
    const [, is] = found.columns.find(([column]) => column === name) ?? [];
    if (is === undefined) missing.push(prefix + name);
    else if (is.replace(/^pg_catalog\./, "") !== type) missing.push(`${prefix}${name} as ${type}`);
  }
  const { primaryKey } = table;
  if (primaryKey !== undefined && !found.keys.includes(primaryKey)) {
    if (!missing.includes(prefix + primaryKey)) missing.push(`the key ${prefix}${primaryKey}`);
  }
  return missing;
}

function assertPrivileges({ parts, role, hasUsage }: Readiness): void {
  const to = shownName(role);
  const grants: string[] = [];
  if (!hasUsage) grants.push(`grant usage on schema ${shownName(parts[0]!.schema)} to ${to}`);
  for (const found of parts) {
    if (found.missingPrivileges.length === 0) continue;
    const names = found.missingPrivileges.join(", ");
    const kind = found.part === "versions" ? "sequence " : "";
    grants.push(`grant ${names} on ${kind}${shownRelation(found)} to ${to}`);
  }
  if (grants.length === 0) return;
  throw new CircuitBreakerStoreError(
    `Cannot check: privileges are missing, run: ${grants.join("; ")}`,
    { sqlState: "42501" },
  );
}

function assertContent(
  circuits: FoundPart,
  { library, lastVersion, highestVersion }: Content,
): void {
  const shown = shownRelation(circuits);
  const version = Number(new RegExp(`^${TOKEN_LIBRARY}(\\d{1,9})$`).exec(library ?? "")?.[1] ?? 0);
  if (version > SCHEMA_VERSION) {
    throw new SchemaError(
      `Cannot check: the table ${shown} is of a newer release (schema ${version}), this one ` +
        `knows schema ${SCHEMA_VERSION}: upgrade this package`,
    );
  }
  if (lastVersion < highestVersion) {
    throw new SchemaError(
      `Cannot check: the sequence of versions is behind the table ${shown}, as after a restore, ` +
        "run migrate(client, table)",
    );
  }
}

function shownTable({ quoted }: TableName): string {
  const parts = quoted.match(/"(?:[^"]|"")*"/g)!;
  return parts.map((part) => shownName(part.slice(1, -1).replaceAll('""', '"'))).join(".");
}
