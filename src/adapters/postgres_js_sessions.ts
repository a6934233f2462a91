/**
 * How postgres.js runs a statement from inside of which the server closes the connection.
 *
 * @module
 */

import type { RunAlone } from "../client_traits.ts";

/** The part of a `sql` that begins transactions. */
interface Beginning {
  options: { max_pipeline?: unknown };
  reserve: unknown;
  begin(run: (inside: Inside) => Promise<unknown>): Promise<unknown>;
}

interface Inside {
  unsafe(text: string, params?: unknown[]): Promise<readonly unknown[]>;
}

/**
 * Runs a statement in a transaction of its own, whose connection carries no other statement: the driver
 * takes it out of use for others in the moment in which it sends `begin`. Otherwise, on Deno and Bun,
 * the driver would keep what it could not write to a connection that is closing, and that place of the
 * pool would never work again (of 4 places, none was left after 5 to 7 such sessions, with 8 workers).
 * A reserved connection is no help: the driver may send one more statement on it before it is reserved.
 *
 * `undefined` unless `sql` is a pool of 3.4.6 or 3.4.7, which were proved to survive it. The driver does
 * not say which release it is, so the signs of these releases must be there:
 * - 3.4.8, 3.4.9 and later releases have an option `sslnegotiation`. The first two reject the next
 *   statement with the old error, and can end the process.
 * - Up to 3.4.5, `reserve` cannot fail, and its text holds no `reject`. 3.4.4 ends the process; 3.4.5 is
 *   safe, but looks the same.
 * - What `begin` and `reserve` hand out has neither options nor a `reserve`.
 */
export function runAloneOn(sql: object, query: RunAlone): RunAlone | undefined {
  const { options, reserve } = sql as Partial<Beginning>;
  const isProved = typeof options === "object" && options !== null &&
    !("sslnegotiation" in options) && typeof reserve === "function" &&
    Function.prototype.toString.call(reserve).includes("reject");
  if (!isProved) return undefined;
  // No connection carries two statements then, and the driver refuses transactions.
  if (options.max_pipeline === 0) return query;
  return async (text, params = []) => {
    const rows = await (sql as Beginning).begin((inside) => untilLost(inside.unsafe(text, params)));
    return { rows: rows as Record<string, unknown>[] };
  };
}

/**
 * What a statement in a transaction ends with, or nothing where its connection was lost without a word of
 * the server, as through a proxy that ends sessions. The driver would roll back otherwise: it writes that to
 * a socket that is gone, in a task of its own, and the process ends with an error that no code can catch. It
 * ends the transaction itself when the connection is closed, with the error of that.
 */
async function untilLost<Result>(statement: Promise<Result>): Promise<Result> {
  try {
    return await statement;
  } catch (error) {
    if (isAnswered(error)) throw error;
    return await new Promise<never>(() => {});
  }
}

/** Whether the server said it, or the driver was ended, which sends nothing any more. */
function isAnswered(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return true;
  const { code, severity_local } = error as Record<string, unknown>;
  return severity_local !== undefined || code === "CONNECTION_DESTROYED";
}
