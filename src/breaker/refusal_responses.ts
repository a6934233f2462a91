/** Responses that stand for calls that a circuit has refused. Their status alone looks like an upstream's failure. */

const REFUSALS = new WeakSet<object>();

/** Notes that a response stands for a refused call. */
export function noteRefusal(response: object): void {
  REFUSALS.add(response);
}

/** Whether a response was noted. One that a framework makes anew of it was not. */
export function isRefusal(response: object): boolean {
  return REFUSALS.has(response);
}
