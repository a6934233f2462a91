/** Announcing that circuits have changed, to instances that listen. */

import type { Statement, StatementContext } from "./context.ts";

/** The name of the channel of a table's changes, before the table's oid. */
export const CHANNEL_PREFIX = "circuit_breaker_";

/**
 * Notifies, in a statement of its own: where the server cannot notify, because the queue is full, the
 * change itself must not fail. The notification says only that it is time to look.
 */
export function announceStatement({ table }: StatementContext): Statement<[], void> {
  return {
    action: "announce changes",
    hasNoClock: true,
    text: `select pg_notify('${CHANNEL_PREFIX}' || ${table.literal}::regclass::oid::text, '')`,
    encode: () => [],
    decode: () => {},
  };
}
