// Classes begin with a digit, or with F, H, P0, X or our own C. Nothing begins with E, which keeps
// the codes of failed sockets ("EPIPE" has five capital letters too) apart, nor with P1 and P2 as
// the codes of Prisma do.
const SQL_STATE = /^(?:[0-9CFHX][0-9A-Z]|P0)[0-9A-Z]{3}$/;

/**
 * The SQLSTATE in an error: `code` in most drivers, `fields.code` in Deno Postgres, `errno` in Bun,
 * whose `code` is its own, and `sqlState` in our own errors. `undefined` where the server answered
 * nothing.
 */
export function sqlStateOf(error: unknown, depth = 0): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { code, errno, fields, sqlState, cause } = error as Record<string, unknown>;
  const nested = typeof fields === "object" && fields !== null
    ? (fields as Record<string, unknown>).code
    : undefined;
  for (const candidate of [code, nested, errno, sqlState]) {
    if (typeof candidate === "string" && SQL_STATE.test(candidate)) return candidate;
  }
  // Bounded, because causes can form a circle.
  return depth < 5 ? sqlStateOf(cause, depth + 1) : undefined;
}
