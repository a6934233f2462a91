/** How values are shown in error messages: short, on one line, and never with a secret in it. */

/**
 * A received value. A string is shown by its length only: a caller can pass a connection string by
 * mistake, and messages go to logs.
 */
export function describe(value: unknown): string {
  if (typeof value === "string") return describeString(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "symbol") return "a symbol";
  if (typeof value === "bigint") return "a bigint";
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? "an array" : describeObject(value);
  }
  return String(value);
}

function describeString({ length }: string): string {
  if (length === 0) return "an empty string";
  return length === 1 ? "a string of 1 character" : `a string of ${length} characters`;
}

/** An object by its class, as the prototype says it: its own properties can hold any data. */
export function describeObject(value: object): string {
  const className = classOf(value);
  return className === undefined ? "an object" : `an instance of ${className}`;
}

function classOf(value: object): string | undefined {
  try {
    const name = Object.getPrototypeOf(value)?.constructor?.name;
    return /^[A-Z][A-Za-z0-9_$]{0,60}$/.test(name) && name !== "Object" ? name : undefined;
  } catch {
    return undefined; // a proxy or a getter that throws
  }
}
