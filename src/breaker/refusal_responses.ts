/** Responses that stand for calls that a circuit has refused. Their status alone looks like an upstream's failure. */

import type { CircuitOpenError } from "./errors.ts";

const REFUSALS = new WeakMap<object, CircuitOpenError>();

/** Notes that a response stands for a refused call. */
export function noteRefusal(response: object, error: CircuitOpenError): void {
  REFUSALS.set(response, error);
}

/** The refusal that a response stands for. One that a framework makes anew of it stands for none. */
export function refusalOf(response: object): CircuitOpenError | undefined {
  return REFUSALS.get(response);
}
