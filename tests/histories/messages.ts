/** What a test and its gateway processes say to each other: one line of JSON each. */

import type { Driver } from "../faults/messages.ts";
import type { CircuitState } from "../../src/types.ts";
import type { Fate, Operation, ShownCircuit } from "./recorded.ts";

/** What a gateway process needs to know: the first line it reads. */
export interface GatewaySettings {
  /** The name of its instance: `instanceId`, and the application name of its connections. */
  name: string;
  driver: Driver;
  /** Through its proxy. */
  databaseUrl: string;
  timeoutMs: number;
  maxStalenessMs: number;
  countWithinMs: number;
  /** Whether its store admits probes. */
  isProbing: boolean;
  /** Whether it watches. */
  isWatching: boolean;
  /** The cursor from which the watch goes on; from now on without one. */
  after?: string | undefined;
  callers: number;
  /** The longest pause between two calls of a caller. */
  pauseMs: number;
  seed: number;
}

/** What the test has it do. */
export type GatewayCommand =
  /** Make no more calls, and close the store and its connections. */
  | { type: "close" }
  /** Go on with another store, on other connections. */
  | { type: "open"; settings: GatewaySettings }
  /** Step `Date.now` by so much. */
  | { type: "step"; ms: number }
  /** Make no more calls, and say when all have ended. */
  | { type: "stop" }
  /** Close the store, say what came of it, and end. */
  | { type: "end" };

/** A circuit of an answer. */
export interface KeyedCircuit extends ShownCircuit {
  key: string;
}

/** What it says. */
export type GatewayMessage =
  | { type: "ready"; name: string }
  /** A call that counts has begun: where the process is killed, its fate is unknown. */
  | { type: "began"; id: number; name: string; operation: Operation; key: string; begin: number }
  /** A call has ended. */
  | {
    type: "call";
    id?: number;
    name: string;
    operation: Operation;
    key: string;
    begin: number;
    end: number;
    fate: Fate;
    shown?: KeyedCircuit[];
    error?: string;
  }
  | {
    type: "change";
    name: string;
    at: number;
    key: string;
    version: number;
    from: CircuitState;
    to: CircuitState;
    cause: string;
    cursor: string;
  }
  | { type: "watch ended"; name: string; error?: string }
  | { type: "break"; name: string; reason: string }
  | { type: "outage"; name: string; isOut: boolean; cause?: string }
  | { type: "error"; name: string; message: string }
  | { type: "stopped"; name: string }
  | { type: "closed"; name: string; error?: string };

/** The clock of all processes: monotonic, so that a stepped `Date.now` does not move it. */
export function clock(): number {
  return performance.timeOrigin + performance.now();
}

/** The rules of all stores that admit probes. */
export const PROBING = { resetTimeoutMs: 150, halfOpenMax: 2, probeTimeoutMs: 400 };

/** How many failures open a circuit, for callers that act like the gateway's policy. */
export const FAILURE_THRESHOLD = 3;
