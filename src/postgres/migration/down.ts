/**
 * The way back: one statement that takes schema 3 away. The table is again the one of Stoma's own store,
 * with the circuits' states and counts. A count that is too high for its `integer` becomes the highest.
 */

import { ADDED_COLUMNS, KINDS, type Part, TABLES } from "../catalogue.ts";
import type { TableName } from "../identifier.ts";
import { declareNames, doStatement, FIND_PARTS, resolveNames } from "./statement.ts";

/** The views before the tables that they read. */
const COMPANIONS: readonly Part[] = [
  "overview",
  "timeline",
  "changes",
  "instances",
  "epoch",
  "versions",
];

const WORDS = { r: "table", v: "view", S: "sequence" };

/** The statement that takes schema 3 away. It does nothing where nothing of it is there. */
export function downStatement(table: TableName, lockTimeoutMs: number): string {
  const storage = TABLES[0]!.storage.map((setting) => setting.split("=")[0]);
  return doStatement(`declare
  ${declareNames(table)}
  is_ours pg_catalog.bool;
begin
  ${resolveNames(table)}
  perform set_config('lock_timeout', '${lockTimeoutMs}', true);
  ${FIND_PARTS}
  -- A table of others can have one of our names.
  is_ours := exists (
    select from pg_attribute where not attisdropped and case when circuits is null
      then attrelid = changes and attname = 'from_state'
      else attrelid = circuits and attname = 'logged_state' end
  );
  if is_ours and circuits is not null then
    execute format('lock table %s in access exclusive mode', circuits_name);
  end if;${
    COMPANIONS.map((part) => `
  if is_ours and exists (
    select from pg_class where oid = ${part} and relkind = '${KINDS[part]}' and relowner = owner
  ) then
    execute 'drop ${WORDS[KINDS[part]]} ' || ${part}_name;
  end if;`).join("")
  }
  if is_ours and circuits is not null then
    execute format('alter table %s
      ${
    ADDED_COLUMNS.map((column) => `drop column if exists ${column.split(" ")[0]}`).join(",\n      ")
  },
      alter column key type text collate "default",
      alter column failure_count type integer using least(failure_count, 2147483647),
      alter column success_count type integer using least(success_count, 2147483647)',
      circuits_name);
    execute format('alter table %s reset (${storage.join(", ")})', circuits_name);
  end if;
  perform set_config('lock_timeout', old_lock_timeout, true);
  perform set_config('search_path', old_path, true);
end`);
}
