/** The messages between a test and its gateway processes: one line of JSON each. */

/** The one object that the policy and the store are both given. Durations are in milliseconds. */
export interface Breaker {
  failureThreshold: number;
  resetTimeoutMs: number;
  halfOpenMax: number;
  probeTimeoutMs: number;
  maxStalenessMs?: number;
  quorum?: number;
  trip?: "store";
  /** Whether requests are guarded by permits of the store, and not by the policy. */
  usesPermits?: boolean;
}

/** What a gateway process needs to know: the first line it reads. */
export interface GatewaySettings {
  /** The bundled gateway. */
  stomaPath: string;
  databaseUrl: string;
  upstreamUrl: string;
  name: string;
  /** The circuit that guards the upstream. */
  circuit: string;
  breaker: Breaker;
  /** Whether the store is given the policy's options, which is what this is about. */
  isShared: boolean;
  /** How far the process's clock stands from the machine's, in milliseconds. */
  skew: number;
}

/** An order to send a number of requests, all at once. */
export interface Wave {
  requests: number;
}

/** How a gateway answered one request. */
export interface Answer {
  status: number;
  retryAfter: string | null;
  /** The state that the policy got from the store. */
  state: string | null;
}

/** The messages of a gateway process: it is ready, then each answer. */
export type GatewayMessage = { type: "ready" } | { type: "answer"; answer: Answer };

/** The header with the name of the gateway that a request came through. */
export const GATEWAY_HEADER = "x-gateway";
