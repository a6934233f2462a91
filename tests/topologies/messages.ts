/** What a test and its gateway processes say to each other: one line of JSON each. */

import type { CallMessage, Driver, LoadReport } from "../faults/messages.ts";

/** What a gateway process needs to know: the first line it reads. */
export interface GatewaySettings {
  name: string;
  driver: Driver;
  databaseUrl: string;
  /** The bundled gateway. */
  stomaPath: string;
  timeoutMs: number;
  /** Whether a pooler in transaction mode is in between, where nothing may be prepared. */
  isPooled: boolean;
  /** Whether a failover loses nothing that was acknowledged. */
  isSynchronous: boolean;
  /** Circuits whose states it reads from its cache all the time. */
  followed: string[];
  /** The same, but for an outage: what a cache knows of them it knows from before. */
  resting: string[];
}

/** What the test has a gateway do. */
export type GatewayCommand =
  /** Use new keys from now on: say when what was called before has ended, and when there were `answers`. */
  | { type: "phase"; phase: string; answers: number }
  /** Leave the resting circuits alone until the database and the store are back: say when that is so. */
  | { type: "rest" }
  /** The database is back: say when the store is. */
  | { type: "back" }
  /** Call no more, but keep watching. */
  | { type: "quiet" }
  /** Wait until the watch has delivered a change of this circuit, say how it went, and end. */
  | { type: "stop"; marker: string };

/** What a call did for the whole fleet. */
export const ACTS = ["trip", "manual", "force", "release"] as const;
export type Act = typeof ACTS[number];

/** An act that was answered by the database. */
export interface Acknowledged {
  act: Act;
  key: string;
  phase: string;
}

/** How it went. */
export interface GatewayReport extends LoadReport {
  acknowledged: Acknowledged[];
  /** Acts of which the fate is not known, or that were answered from memory. */
  unknownActs: number;
  /** Changes that the watch delivered, as version and key. */
  watched: [version: number, key: string][];
  /** What the watch said of breaks: reasons. */
  breaks: string[];
  /** Versions that went back, in words. */
  disorder: string[];
  /** What closing the store failed with. */
  closing: string | undefined;
}

/** What a gateway says. */
export type GatewayMessage =
  | CallMessage
  | { type: "ready" }
  /** The states of the followed circuits after one of them has changed, in epoch milliseconds. */
  | { type: "followed"; at: number; states: Record<string, string> }
  | { type: "resting" }
  | { type: "quiet" }
  | { type: "report"; report: GatewayReport };
