/** The messages of a store with `waitUntil`, and of one that lacks it. */

import {
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { inBoundRuntime } from "../edge/bound_runtime.ts";
import type { Listed } from "./listed.ts";

const CLIENT: PostgresClient = { query: () => Promise.resolve({ rows: [] }) };

function storeWith(
  options: PostgresCircuitBreakerStoreOptions,
  client = CLIENT,
): PostgresCircuitBreakerStore {
  return new PostgresCircuitBreakerStore(client, { waitUntil: () => {}, ...options });
}

/** A call that fails with an error of its connection. */
function failing(message: string): Promise<unknown> {
  return storeWith({}, { query: () => Promise.reject(new Error(message)) }).getState("api");
}

export const EDGE: readonly Listed[] = [
  [
    () => storeWith({ pruneIdleMs: 1000 }),
    'Cannot create store: "pruneIdleMs" must be absent with "waitUntil", call prune() in a scheduled ' +
    "handler instead, received 1000",
  ],
  [
    () => storeWith({ maxCircuits: 1000 }),
    'Cannot create store: "maxCircuits" must be absent with "waitUntil", call prune() in a scheduled ' +
    "handler instead, received 1000",
  ],
  [
    () => storeWith({ quorum: 3, failureThreshold: 5 }),
    'Cannot create store: "quorum" must be absent with "waitUntil", because an instance there does not ' +
    "live long enough to vote, received 3",
  ],
  [
    () => inBoundRuntime(() => new PostgresCircuitBreakerStore(CLIENT).getState("api")),
    'Cannot use store: this runtime ends all work together with its request, pass "waitUntil" to the ' +
    'store, for example waitUntil from "cloudflare:workers"',
  ],
  [
    () => failing("Client was closed and is not queryable"),
    'Cannot read circuit: Client was closed and is not queryable: "client" must end a connection only ' +
    "when its statement has been answered",
  ],
  [
    () => failing("Cannot perform I/O on behalf of a different request. I/O objects"),
    "Cannot read circuit: Cannot perform I/O on behalf of a different request. I/O objects: " +
    '"client" must connect for each call, because this runtime binds a connection to its request',
  ],
];
