import { isCircuitBreakerStoreError } from "../errors.ts";
import type { Admin, Calls, Tail } from "../ports.ts";
import type { Deadlines } from "../time/deadlines.ts";
import type { Clocks } from "./cached_circuit.ts";

/** What a cache asks. Each answer says where it comes from. */
export interface Origin extends Calls, Admin, Pick<Tail, "refresh"> {
  /** Whether the database is out, as far as is known. */
  readonly isOut: boolean;
}

/** What a cache needs beside its origin. */
export interface CircuitCacheOptions extends Clocks {
  maxStalenessMs: number;
  deadlines: Deadlines;
  /** Called for each circuit that is added to the cache, and for each that is dropped. */
  onKnown?: (key: string, isKnown: boolean) => void;
}

/** Whether a statement that failed has certainly done nothing: the server answered with the error. */
export function isRefused(error: unknown): boolean {
  const sqlState = isCircuitBreakerStoreError(error) ? error.sqlState : undefined;
  return sqlState !== undefined && !/^(08|57)/.test(sqlState);
}
