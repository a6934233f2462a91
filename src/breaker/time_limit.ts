import { isRequestBound } from "../edge/request_bound.ts";
import { CallTimers } from "./call_timers.ts";
import { RequestCallTimers } from "./request_call_timers.ts";

/** Ends calls that take too long. */
export type TimeLimit = Pick<CallTimers, "timeoutMs" | "add" | "remove">;

/** The time limit of all calls of a breaker, as its runtime can keep it. */
export function timeLimitOf(timeoutMs: number): TimeLimit {
  return isRequestBound() ? new RequestCallTimers(timeoutMs) : new CallTimers(timeoutMs);
}
