/**
 * How Bun's SQL listens: on a connection that all channels of a `SQL` share. Bun listens again by
 * itself after a loss, which can take it half a minute, and says so only afterwards.
 *
 * @module
 */

import { withDeadline } from "../time/deadlines.ts";
import {
  type Closing,
  END_WITHIN_MS,
  type Listen,
  LISTEN_WITHIN_MS,
  onClose,
  Subscription,
} from "./subscription.ts";

/** The part of a `SQL` that listens, from Bun 1.4 on. */
interface Listening {
  listen(
    channel: string,
    onNotification: (payload: string) => void,
    onListening?: () => void,
  ): Promise<Registration>;
  options?: Closing<unknown>;
}

interface Registration {
  unlisten(): Promise<void>;
}

/** How a `SQL` listens; `undefined` where Bun is too old. */
export function listenOfBun(sql: object): Listen | undefined {
  if (typeof (sql as Partial<Listening>).listen !== "function") return;
  const driver = sql as Listening;
  return async (channel, onNotification) => {
    const subscription = new Subscription(onNotification);
    const watching = driver.options && onClose(driver.options);
    let isListening = false;
    const registration = driver.listen(channel, (payload) => subscription.deliver(payload), () => {
      // For a second time only after a loss.
      if (isListening) lose();
      isListening = true;
    });
    const release = async () => {
      watching?.delete(check);
      await cancel(registration);
    };
    const lose = () => void (subscription.lose() && release());
    const check = () => void answers(driver, channel).then((isAlive) => isAlive || lose());
    try {
      await withDeadline(LISTEN_WITHIN_MS, "listen", registration);
      subscription.assertListening();
    } catch (error) {
      subscription.end();
      void cancel(registration);
      throw error;
    }
    watching?.add(check);
    return subscription.unlisten(release);
  };
}

/**
 * Whether a channel is listened to: another listener is admitted at once then. Otherwise Bun connects
 * for it. Bun then either fails, or announces to the others that it listens again.
 */
async function answers(driver: Listening, channel: string): Promise<boolean> {
  const registration = driver.listen(channel, () => {});
  try {
    await withDeadline(LISTEN_WITHIN_MS, "listen", registration);
    return true;
  } catch {
    return false;
  } finally {
    void cancel(registration);
  }
}

/** Ends a registration as soon as there is one. */
async function cancel(registration: Promise<Registration>): Promise<void> {
  try {
    const registered = await registration;
    await withDeadline(END_WITHIN_MS, "stop listening", registered.unlisten());
  } catch {
    // There never was one, or its connection is gone.
  }
}
