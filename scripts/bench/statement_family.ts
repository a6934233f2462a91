/**
 * The families of a store's statements, as a client sees them: by what their text holds. The first
 * that matches counts.
 */
const FAMILIES: readonly [name: string, pattern: RegExp][] = [
  ["announce", /pg_notify/],
  ["flush", /skip locked[\s\S]*left_over|left_over[\s\S]*skip locked/],
  ["tail", /pg_current_snapshot/],
  ["instance", /_instances"/],
  // The refresh of the release before the log reads and counts in one statement.
  ["tail", /held as materialized[\s\S]*skip locked[\s\S]*union all/],
  ["count", /^\s*(with written as \()?(insert|update)/],
  ["read", /^\s*select/],
];

/** Names the family of a statement. */
export function familyOf(text: string): string {
  let name = FAMILY_BY_TEXT.get(text);
  if (name === undefined) {
    name = FAMILIES.find(([, pattern]) => pattern.test(text))?.[0] ?? "other";
    FAMILY_BY_TEXT.set(text, name);
  }
  return name;
}

/** A store sends few texts, each very often. */
const FAMILY_BY_TEXT = new Map<string, string>();
