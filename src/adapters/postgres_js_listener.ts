/**
 * How postgres.js listens: on one connection of its own for all channels, which it replaces by
 * itself. It drops a channel for good where that fails, and remembers the failure for whoever asks
 * for the channel later; here a lost connection is reported instead, and nothing is left behind.
 *
 * @module
 */

import type { PostgresClient, Unlisten } from "../types.ts";
import { Subscription } from "./subscription.ts";

type Listen = NonNullable<PostgresClient["listen"]>;

interface Channel {
  listeners: { fn: unknown }[];
}

/** The driver behind its listening connection. */
interface Inner {
  options?: { onclose?: (...args: unknown[]) => void };
  end?: (options: { timeout: number }) => Promise<void>;
}

/** The `listen` of postgres.js, with what the driver keeps on it. */
interface DriverListen {
  (channel: string, fn: (payload: string) => void): Promise<{ unlisten(): Promise<void> }>;
  sql?: Inner | null;
  channels?: Record<string, Channel>;
}

/** Whoever wants to know that the connection behind them has ended. */
const listening = new WeakMap<Inner, Set<() => void>>();

/** The capability of a `sql`; a transaction and a reserved connection have none. */
export function listenOf(sql: object): Listen | undefined {
  const { listen } = sql as { listen?: DriverListen };
  if (typeof listen !== "function") return undefined;
  return async (channel, onNotification): Promise<Unlisten> => {
    const subscription = new Subscription(onNotification);
    const { tell } = subscription;
    const starting = listen(channel, tell);
    const inner = listen.sql;
    const onClose = () => {
      forget(listen, channel, tell);
      subscription.lose();
    };
    if (inner) onClosed(inner).add(onClose);
    try {
      const { unlisten } = await starting;
      return subscription.unlisten(async () => {
        if (inner) onClosed(inner).delete(onClose);
        await unlisten().catch(() => {}); // the connection is gone, and the channel with it
        await release(listen);
      });
    } catch (error) {
      if (inner) onClosed(inner).delete(onClose);
      delete listen.channels?.[channel];
      await release(listen);
      throw error;
    }
  };
}

/** Those to be told when a connection of the inner driver ends, before the driver does anything. */
function onClosed(inner: Inner): Set<() => void> {
  const known = listening.get(inner);
  if (known !== undefined) return known;
  const told = new Set<() => void>();
  listening.set(inner, told);
  const { options } = inner;
  const original = options?.onclose;
  if (options !== undefined) {
    options.onclose = (...args) => {
      const losers = [...told];
      told.clear();
      for (const lose of losers) lose();
      original?.(...args);
    };
  }
  return told;
}

/** Keeps the driver from listening again for one who is told instead. */
function forget({ channels = {} }: DriverListen, channel: string, fn: unknown): void {
  const entry = channels[channel];
  if (entry === undefined) return;
  entry.listeners = entry.listeners.filter((listener) => listener.fn !== fn);
  if (entry.listeners.length === 0) delete channels[channel];
}

/** Ends the listening connection where nobody listens any more; the driver makes another if need be. */
async function release(listen: DriverListen): Promise<void> {
  for (const _ in listen.channels) return;
  const inner = listen.sql;
  if (!inner) return;
  listen.sql = null;
  // Or the driver takes what is listened to by then for what it has just lost.
  if (inner.options !== undefined) inner.options.onclose = () => {};
  await inner.end?.({ timeout: 0 }).catch(() => {}); // ended before
}
