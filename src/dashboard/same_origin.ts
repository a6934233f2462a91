/** Whether a request that changes something comes from the dashboard's own page. */

import { Refusal } from "./responses.ts";

/**
 * The header that the page's script sends with an act. No form can send it, and the script of another
 * origin only after a preflight, which the dashboard never permits.
 */
export const ACT_HEADER = "x-circuit-breaker-act";

/**
 * Refuses a request of another site's page. Browsers set `Sec-Fetch-Site` and `Origin` themselves, and no
 * page can change them. `Sec-Fetch-Site` also holds behind a proxy that changes the host, but browsers
 * send it only to `https:` and `localhost`: elsewhere `Origin` must name the host of the request.
 *
 * @throws {Refusal}
 */
export function assertSameOrigin({ headers, url }: Request): void {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  const isOwn = site === null
    ? origin !== null && hostOf(origin) === (headers.get("host") ?? new URL(url).host).toLowerCase()
    : site === "same-origin" && origin !== "null";
  if (!isOwn) throw new Refusal(403, "An act must come from the dashboard's own page.");
  if (headers.get(ACT_HEADER) !== "1") {
    throw new Refusal(403, `An act must have the header "${ACT_HEADER}: 1".`);
  }
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
