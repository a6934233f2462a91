/** What a test and its gateway processes say to each other: one line of JSON each. */

/** The one object that the policy and the store are both given. Durations are in milliseconds. */
export interface Breaker {
  failureThreshold: number;
  resetTimeoutMs: number;
  halfOpenMax: number;
  probeTimeoutMs: number;
  maxStalenessMs?: number;
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

/** A starting shot: how many requests to send, all at once. */
export interface Wave {
  requests: number;
}

/** How a gateway answered one request. */
export interface Answer {
  status: number;
  retryAfter: string | null;
  /** The state that the policy was told. */
  state: string | null;
}

/** What a gateway process says: once that it is there, then each answer as it comes. */
export type GatewayMessage = { type: "ready" } | { type: "answer"; answer: Answer };

/** The header that tells the upstream which gateway a request came through. */
export const GATEWAY_HEADER = "x-gateway";
