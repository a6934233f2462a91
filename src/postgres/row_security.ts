/** Whether row level security lets a role see and write every row that the store needs. */

import { CircuitBreakerStoreError } from "../errors.ts";
import { PRIVILEGES } from "./catalogue.ts";
import { shownName, shownRelation } from "./shown_name.ts";
import type { FoundPart, FoundPolicy } from "./statements/readiness.ts";

/** The catalogue's letters of what row level security judges. */
const COMMANDS: Readonly<Record<string, string>> = {
  select: "r",
  insert: "a",
  update: "w",
  delete: "d",
};

/**
 * Throws where rows can be hidden. A circuit whose row is hidden reads as closed. Expressions of
 * policies cannot be judged, so only `true` is enough, in a permissive policy for each command and in
 * all restrictive ones.
 */
export function assertRowsVisible(found: FoundPart, role: string): void {
  if (!found.isRowSecurityActive) return;
  const { policies } = found;
  const commands = PRIVILEGES[found.part].map((privilege) => COMMANDS[privilege]!);
  const restrictive = policies.filter((policy) =>
    !policy.isPermissive &&
    commands.some((command) => decidingExpressions(policy, command).some(isRestricting))
  );
  const isAdmitted = commands.every((command) =>
    policies.some((policy) => {
      const deciding = decidingExpressions(policy, command);
      return policy.isPermissive && deciding.length > 0 && deciding.every(isTrue);
    })
  );
  if (isAdmitted && restrictive.length === 0) return;
  const table = shownRelation(found);
  const to = shownName(role);
  const policyFixes = restrictive.map(({ name }) => `drop policy ${shownName(name)} on ${table}`);
  if (!isAdmitted) {
    policyFixes.push(
      `create policy "circuit_breaker" on ${table} to ${to} using (true) with check (true)`,
    );
  }
  const harm = found.part === "circuits"
    ? `circuits from ${to}, and an open circuit that is hidden reads as closed`
    : `rows of ${table} from ${to}`;
  throw new CircuitBreakerStoreError(
    `Cannot check: row level security can hide ${harm}, run ${policyFixes.join("; ")}, or ` +
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
