/**
 * How node-postgres listens: on a client of its own, made as the pool makes its clients.
 *
 * @module
 */

import type { PostgresClient, Unlisten } from "../types.ts";
import { Subscription } from "./subscription.ts";

type Listen = NonNullable<PostgresClient["listen"]>;

/** After so long without a sound the system asks whether the other side is still there. */
const KEEP_ALIVE_MS = 10_000;

interface Client {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  end(): Promise<unknown>;
  on(event: "notification", listener: (message: { payload?: string }) => void): unknown;
  on(event: "error" | "end", listener: () => void): unknown;
  connection?: {
    stream?: { unref?(): void; setKeepAlive?(isOn: boolean, afterMs: number): void };
  };
}

interface Pool {
  Client?: new (options: unknown) => Client;
  options?: unknown;
}

/** The capability of a pool; a client has one connection, which the pool's user wants back. */
export function listenOf(pool: object): Listen | undefined {
  const { Client, options } = pool as Pool;
  if (typeof Client !== "function" || typeof options !== "object") return undefined;
  return async (channel, onNotification): Promise<Unlisten> => {
    const subscription = new Subscription(onNotification);
    const client = new Client(options);
    // Where nobody hears of an error, it ends the process.
    client.on("error", subscription.lose);
    client.on("end", subscription.lose);
    client.on("notification", ({ payload }) => subscription.tell(payload));
    try {
      await client.connect();
      await client.query(`listen "${channel.replaceAll('"', '""')}"`);
    } catch (error) {
      client.end().catch(() => {}); // it never began
      throw error;
    }
    const { stream } = client.connection ?? {};
    stream?.setKeepAlive?.(true, KEEP_ALIVE_MS);
    stream?.unref?.();
    return subscription.unlisten(() => client.end().catch(() => {})); // lost at this moment
  };
}
