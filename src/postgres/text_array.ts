/**
 * An array as a PostgreSQL array literal.
 *
 * Sent as plain text and cast in SQL (`$1::text::text[]`), because drivers differ in how they send
 * arrays, and some refuse them when they may not look up types.
 */
export function textArray(values: readonly (string | number)[]): string {
  let literal = "{";
  for (const [i, value] of values.entries()) {
    if (i > 0) literal += ",";
    literal += typeof value === "number" ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
  }
  return literal + "}";
}
