import type { CircuitState } from "../../mod.ts";

/** The breaker's settings, which the policy and the store are both given. */
export interface BreakerSettings {
  failureThreshold: number;
  resetTimeoutMs: number;
  halfOpenMax: number;
  probeTimeoutMs: number;
  /** With it the store alone opens circuits, and the policy counts no failures. */
  quorum?: number;
}

/** The header with the name of the gateway that a request came through. */
export const GATEWAY_HEADER = "x-gateway";

/** What a gateway process needs to know: the one line it reads. */
export interface GatewaySettings {
  name: string;
  /** The bundled gateway, which the demo made once for all of them. */
  stomaPath: string;
  upstreamUrl: string;
  /** The circuit that guards the upstream. */
  circuit: string;
  breaker: BreakerSettings;
  /** Where circuits are shared; without it every gateway keeps its own in memory. */
  database?: { url: string; table: string };
}

/** The messages from a gateway process to the demo, one line each. */
export type GatewayMessage =
  | { type: "ready"; port: number }
  | { type: "change"; from: CircuitState; to: CircuitState };
