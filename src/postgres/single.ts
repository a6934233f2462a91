import type { OnStatement, StatementKind } from "../ports.ts";
import type { Call } from "../time/call.ts";
import type { CallDeadlines } from "../time/deadlines.ts";
import type { Demand } from "./executor.ts";

/** What a statement of its own needs. */
export interface SingleOptions {
  readonly deadlines: CallDeadlines;
  readonly onStatement: OnStatement;
}

/** Which statement it is, for errors and reports. */
export interface SingleStatement {
  readonly kind: StatementKind;
  /** What it does: "read changes". */
  readonly action: string;
  /** How many circuits it is for. */
  readonly keys: number;
  /** Whether no call waits for it. */
  readonly isBackground?: boolean;
}

/** Runs a statement of its own for one call, until the call's deadline. */
export async function runSingle<Result>(
  { deadlines, onStatement }: SingleOptions,
  call: Call,
  { kind, action, keys, isBackground }: SingleStatement,
  send: (demand: Demand) => Promise<Result>,
): Promise<Result> {
  const sentAt = performance.now();
  const demand = { sentAt, isAwaited: true, refusal: undefined as Error | undefined };
  const report = (rows: number, error?: unknown) =>
    onStatement({
      kind,
      keys,
      calls: isBackground ? 0 : 1,
      rows,
      ms: performance.now() - sentAt,
      error,
    });
  try {
    const result = await deadlines.race(call, action, send(demand));
    report(Array.isArray(result) ? result.length : typeof result === "number" ? result : 1);
    return result;
  } catch (reason) {
    const error = demand.refusal ?? reason;
    report(0, error);
    throw error;
  } finally {
    demand.isAwaited = false;
  }
}
