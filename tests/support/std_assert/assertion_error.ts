/** What every assertion throws. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/** A failure's text: what was expected, and what the caller says about it. */
export function explain(reason: string, msg?: string): string {
  return msg ? `${reason}: ${msg}` : reason;
}
