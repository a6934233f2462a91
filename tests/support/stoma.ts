/**
 * The real Stoma gateway, and the stores it ships, with the types that are used here.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import type { CircuitBreakerStore, CircuitState, PostgresClient } from "../../mod.ts";
import { bundleStoma } from "./stoma_bundle.ts";

export { bundleStoma, type StomaBundle } from "./stoma_bundle.ts";

/** A running gateway: a Hono application. */
export interface StomaGateway {
  readonly app: {
    fetch(request: Request): Response | Promise<Response>;
    request(path: string, init?: RequestInit): Response | Promise<Response>;
  };
}

/** A policy, as the gateway's pipelines take them. */
export interface StomaPolicy {
  readonly name: string;
}

/** What the `circuitBreaker` policy accepts. */
export interface CircuitBreakerPolicyOptions {
  failureThreshold?: number;
  resetTimeoutMs?: number;
  halfOpenMax?: number;
  failureOn?: number[];
  openStatusCode?: number;
  key?: (context: { req: { url: string } }) => string;
  store?: CircuitBreakerStore;
  onStateChange?: (key: string, from: CircuitState, to: CircuitState) => void | Promise<void>;
}

/** What `createGateway` accepts, as far as it is used here. */
export interface GatewayOptions {
  name?: string;
  debugHeaders?: boolean;
  routes: {
    path: string;
    pipeline: {
      policies?: StomaPolicy[];
      upstream: { type: "url"; target: string; headers?: Record<string, string> };
    };
  }[];
}

/** The part of the package that makes a gateway. */
export interface Stoma {
  createGateway(options: GatewayOptions): StomaGateway;
  circuitBreaker(options?: CircuitBreakerPolicyOptions): StomaPolicy;
  timeout(options?: { timeoutMs?: number }): StomaPolicy;
  InMemoryCircuitBreakerStore: new () => CircuitBreakerStore;
}

/** The commands the package's Redis store needs. */
export interface StomaRedisClient {
  get(key: string): Promise<string | null>;
  set(key: string, value: string, ...args: unknown[]): Promise<unknown>;
  del(...keys: string[]): Promise<number>;
  eval(script: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
}

/** The stores the package ships for shared circuits. */
export interface StomaAdapters {
  POSTGRES_SCHEMA_SQL: string;
  PostgresCircuitBreakerStore: new (client: PostgresClient, table: string) => CircuitBreakerStore;
  RedisCircuitBreakerStore: new (
    client: StomaRedisClient,
    prefix: string,
    setWithTTL?: (
      client: StomaRedisClient,
      key: string,
      value: string,
      ttlSeconds: number,
    ) => Promise<unknown>,
  ) => CircuitBreakerStore;
}

/** Imports the gateway from a bundle, or from one made for this call. */
export async function loadStoma(gatewayPath?: string): Promise<Stoma> {
  if (gatewayPath !== undefined) return await import(pathToFileURL(gatewayPath).href);
  await using bundle = await bundleStoma();
  return await loadStoma(bundle.gatewayPath);
}

/** Imports the package's own stores from a bundle, or from one made for this call. */
export async function loadStomaAdapters(adaptersPath?: string): Promise<StomaAdapters> {
  if (adaptersPath !== undefined) return await import(pathToFileURL(adaptersPath).href);
  await using bundle = await bundleStoma();
  return await loadStomaAdapters(bundle.adaptersPath);
}
