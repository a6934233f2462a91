import type { CircuitState } from "../../mod.ts";

/** The breaker's settings, under the names of Stoma's policy. */
export interface BreakerSettings {
  failureThreshold: number;
  resetTimeoutMs: number;
  halfOpenMax: number;
}

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

/** What a gateway process tells the demo: one line each. */
export type GatewayMessage =
  | { type: "ready"; port: number }
  | { type: "change"; from: CircuitState; to: CircuitState };
