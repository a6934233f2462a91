/**
 * An array as a PostgreSQL array literal.
 *
 * Sent as plain text and cast in SQL (`$1::text::text[]`), because drivers differ in how they send
 * arrays, and some refuse them when they may not look up types.
 */
export function textArray(values: readonly (string | number)[]): string {
  let literal = "{";
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (i > 0) literal += ",";
    literal += typeof value === "number" ? value : `"${escaped(value)}"`;
  }
  return literal + "}";
}

/** Most keys have nothing to escape, and looking costs less than replacing nothing. */
function escaped(value: string): string {
  return value.includes('"') || value.includes("\\") ? value.replace(/["\\]/g, "\\$&") : value;
}
