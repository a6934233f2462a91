/**
 * How node-postgres listens: on a client of its own, since one of the pool's would be missing there.
 *
 * @module
 */

import { withDeadline } from "../time/deadlines.ts";
import {
  END_WITHIN_MS,
  type Listen,
  LISTEN_WITHIN_MS,
  quoteChannel,
  Subscription,
} from "./subscription.ts";

/** How long a silent connection is trusted before the system probes the other end. */
const KEEP_ALIVE_AFTER_MS = 10_000;

/** The part of a `pg.Pool` that opens clients. */
interface Opening {
  Client: new (config: object) => Listening;
  options: { password?: unknown };
  ending?: boolean;
}

/** The part of a `pg.Client` that listens. */
interface Listening {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  end(): Promise<void>;
  on(event: "error" | "end", listener: () => void): unknown;
  on(event: "notification", listener: (message: Message) => void): unknown;
  ref?(): void;
  unref?(): void;
  connection?: { stream?: { destroy?(): void } };
}

interface Message {
  channel: string;
  payload?: string;
}

/** How a pool listens; `undefined` for a client, which knows no way to open another one. */
export function listenOfPool(pool: object): Listen | undefined {
  const { Client, options } = pool as Partial<Opening>;
  if (typeof Client !== "function" || typeof options !== "object" || options === null) return;
  return async (channel, onNotification) => {
    if ((pool as Opening).ending) throw new Error("Cannot listen: the pool has ended");
    const subscription = new Subscription(onNotification);
    const client = new Client({
      ...options,
      // The pool hides it: a copy of the options does not have it.
      password: options.password,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    });
    const lose = () => void (subscription.lose() && destroy(client));
    client.on("error", lose);
    client.on("end", lose);
    client.on("notification", (message) => {
      if (message.channel === channel) subscription.deliver(message.payload ?? "");
    });
    try {
      await withDeadline(LISTEN_WITHIN_MS, "listen", begin(client, channel));
      subscription.assertListening();
    } catch (error) {
      subscription.end();
      destroy(client);
      throw error;
    }
    client.unref?.();
    return subscription.unlisten(() => end(client));
  };
}

async function begin(client: Listening, channel: string): Promise<void> {
  await client.connect();
  await client.query(`listen ${quoteChannel(channel)}`);
}

async function end(client: Listening): Promise<void> {
  // Who waits for the end must not see the process go before.
  client.ref?.();
  try {
    await withDeadline(END_WITHIN_MS, "stop listening", client.end());
  } catch {
    destroy(client);
  }
}

function destroy(client: Listening): void {
  client.connection?.stream?.destroy?.();
}
