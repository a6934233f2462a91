/** What stands between the gateways and the nodes, and how the nodes replicate. */
export interface Topology {
  readonly isSynchronous: boolean;
  /** Whether a PgBouncer in transaction mode is in front of HAProxy. */
  readonly isPooled: boolean;
}

/** How long a call of a gateway waits for the database. */
export const TIMEOUT_MS = 1000;

/** How old a state may be that a gateway answers from its cache. */
export const MAX_STALENESS_MS = 200;
