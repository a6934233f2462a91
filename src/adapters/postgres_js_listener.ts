/**
 * How postgres.js listens: on a connection that all channels of a `sql` share, which the driver opens
 * with the first of them. It would listen again by itself after a loss, without a word of it, and
 * leave an attempt that failed behind for those who come later.
 *
 * @module
 */

import { withDeadline } from "../time/deadlines.ts";
import { boundReconnects, type ConnectionOptions } from "./reconnects.ts";
import {
  type Closing,
  END_WITHIN_MS,
  type Listen,
  LISTEN_WITHIN_MS,
  onClose,
  quoteChannel,
  Subscription,
} from "./subscription.ts";

/** The part of a `sql` that listens. */
interface Listening {
  unsafe(text: string): PromiseLike<unknown>;
  listen: Driver;
}

/** `sql.listen`, and what the driver keeps there. */
interface Driver {
  (channel: string, onNotification: (payload: string) => void): Promise<unknown>;
  /** A `sql` with the one connection; set by the first call. */
  sql?: Inner;
  /** Who listens to what, on whichever connection. */
  channels?: Record<string, { listeners: { fn: unknown }[] }>;
}

interface Inner {
  unsafe(text: string): PromiseLike<unknown>;
  end(options: { timeout: number }): Promise<void>;
  /** The driver reads `socket` anew for each connection that is to be opened. */
  options: Closing<number> & ConnectionOptions & { socket?: () => Promise<never> };
}

/** How a `sql` listens; `undefined` for one inside `begin` or `reserve`, which has no way to. */
export function listenOfSql(sql: object): Listen | undefined {
  const { listen: driver } = sql as Partial<Listening>;
  if (typeof driver !== "function") return;
  return async (channel, onNotification) => {
    const subscription = new Subscription(onNotification);
    const deliver = (payload: string) => subscription.deliver(payload);
    let inner: Inner | undefined;
    const lose = () => {
      if (inner !== undefined) onClose(inner.options).delete(lose);
      remove(driver, channel, deliver);
      subscription.lose();
    };

    const leave = async () => {
      if (inner === undefined) return;
      onClose(inner.options).delete(lose);
      const isLast = remove(driver, channel, deliver);
      // Since another connection may have taken its place.
      if (driver.sql !== inner) return;
      if (Object.keys(driver.channels ?? {}).length === 0) return await end(driver, inner);
      if (isLast) await forget(inner, channel);
    };

    const begin = async () => {
      // One that has ended would open a connection all the same. Its pool refuses.
      if (driver.sql === undefined) await (sql as Listening).unsafe("select 1");
      subscription.assertListening();
      // An object with a prototype has a channel "constructor".
      driver.channels ??= Object.create(null) as NonNullable<Driver["channels"]>;
      const listening = driver(channel, deliver);
      inner = driver.sql;
      // Before the driver listens again for the others.
      if (inner !== undefined) {
        onClose(inner.options).add(lose);
        boundReconnects(inner.options);
      }
      await listening;
    };

    try {
      await withDeadline(LISTEN_WITHIN_MS, "listen", begin());
      subscription.assertListening();
    } catch (error) {
      subscription.end();
      await leave();
      throw error;
    }
    return subscription.unlisten(leave);
  };
}

/** Takes a listener out; whether it was its channel's last one. */
function remove({ channels = {} }: Driver, channel: string, deliver: unknown): boolean {
  const entry = channels[channel];
  if (entry === undefined) return false;
  entry.listeners = entry.listeners.filter(({ fn }) => fn !== deliver);
  if (entry.listeners.length > 0) return false;
  // With it goes an attempt that failed, which the driver would answer later calls with.
  delete channels[channel];
  return true;
}

/** Ends the connection. The next listener gets a new one. */
async function end(driver: Driver, inner: Inner): Promise<void> {
  delete driver.sql;
  // The channels are those of the next connection from now on.
  inner.options.onclose = undefined;
  // Without an end to attempts, one that is under way would be repeated for as long as it fails.
  inner.options.socket = () => Promise.reject(new Error("Cannot connect: nobody listens"));
  await inner.end({ timeout: END_WITHIN_MS / 1000 });
}

async function forget(inner: Inner, channel: string): Promise<void> {
  try {
    const unlisten = Promise.resolve(inner.unsafe(`unlisten ${quoteChannel(channel)}`));
    await withDeadline(END_WITHIN_MS, "stop listening", unlisten);
  } catch {
    // The connection is gone, or will be.
  }
}
