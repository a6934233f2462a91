/** The privileges of the role that uses the tables at run time. As plpgsql. */

import { describe } from "../../describe.ts";
import { type Part, PARTS, PRIVILEGES } from "../catalogue.ts";
import { quoteLiteral } from "../identifier.ts";

/** A role that gets privileges. */
export interface GrantedRole {
  readonly name: string;
  /** The name for messages. */
  readonly shown: string;
}

/** A role's name of letters, digits and signs that no message must hide. */
const PLAIN = /^[A-Za-z0-9_$-]{1,63}$/;

/** Checks the name of a role, which is taken literally and in its case. */
export function parseRole(action: string, name: unknown): GrantedRole | undefined {
  if (name === undefined) return undefined;
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot ${action}: "grantTo" must be a string, received ${describe(name)}`,
    );
  }
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes > 63 || name.includes("\0") || /\p{Surrogate}/u.test(name)) {
    throw new RangeError(
      `Cannot ${action}: "grantTo" must be the name of a role of 1 to 63 bytes, ` +
        `received ${describe(name)}`,
    );
  }
  return { name, shown: PLAIN.test(name) ? `"${name}"` : `(a name of ${name.length} characters)` };
}

/** Statements that plan the privileges that the role lacks. */
export function planGrants({ name, shown }: GrantedRole): string {
  const role = quoteLiteral(name);
  return `
    grantee := (select oid from pg_roles where rolname = ${role});
    if grantee is null then
      raise exception using errcode = '22023', message = ${
    quoteLiteral(`the role ${shown} does not exist`)
  };
    end if;
    if not has_schema_privilege(grantee, home, 'usage') then
      plan := array_append(plan, format('grant usage on schema %I to %I', home, ${role}));
    end if;${PARTS.map((part) => planPart(part, role)).join("")}`;
}

function planPart(part: Part, role: string): string {
  const kind = part === "versions" ? "sequence" : "table";
  const privileges = PRIVILEGES[part];
  const lacks = privileges.map((privilege) =>
    `not has_${kind}_privilege(grantee, ${part}, '${privilege}')`
  );
  return `
    if ${lacks.join(" or ")} then
      plan := array_append(plan, format(
        'grant ${privileges.join(", ")} on ${kind} %s to %I', ${part}_name, ${role}
      ));
    end if;`;
}
