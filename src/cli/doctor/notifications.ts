/** Whether the server passes notifications on to this client. */

import type { PostgresClient } from "../../types.ts";
import { type Finding, warning } from "./finding.ts";

const CHANNEL = "circuit_breaker_doctor_";

/** How long a notification may take, in milliseconds: beside a pooler that drops it, none comes. */
const MAX_WAIT_MS = 2000;

const CONSEQUENCE =
  "instances hear of changes when they look, every maxStalenessMs or every second, and not at once. " +
  "Connect to the server itself, or to a pooler in session mode";

/** Listens, notifies, and waits. */
export async function examineNotifications(
  client: PostgresClient,
  timeoutMs: number,
): Promise<Finding[]> {
  if (client.listen === undefined) {
    return [warning("notifications", `the driver does not listen here: ${CONSEQUENCE}`)];
  }
  const channel = CHANNEL + crypto.randomUUID().replaceAll("-", "");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.min(timeoutMs, MAX_WAIT_MS));
  });
  let hear: () => void = () => {};
  const heard = new Promise<true>((resolve) => hear = () => resolve(true));
  const listening = client.listen(channel, () => hear());
  try {
    const isHeard = await Promise.race([
      late,
      listening.then(async () => {
        await client.query(
          "select pg_catalog.pg_notify($1::pg_catalog.text, ''::pg_catalog.text)",
          [channel],
        );
        return await heard;
      }),
    ]);
    return isHeard
      ? []
      : [warning("notifications", `notifications of the server do not come: ${CONSEQUENCE}`)];
  } catch {
    return [warning("notifications", `the client cannot listen: ${CONSEQUENCE}`)];
  } finally {
    clearTimeout(timer);
    listening.then((unlisten) => unlisten(), () => {});
  }
}
