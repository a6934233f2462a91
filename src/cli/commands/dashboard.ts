/** `dashboard`: the page for browsers, served on this machine until Ctrl-C. */

import { describe } from "../../describe.ts";
import { dashboard } from "../../dashboard/dashboard.ts";
import { textOption } from "../arguments.ts";
import type { Command, Given } from "../command.ts";
import type { ExitCode } from "../exit_codes.ts";
import { serveHttp, type WebHandler } from "../serve_http.ts";
import { jsonLine } from "../text.ts";
import { UsageError } from "../usage_error.ts";

const DEFAULT_PORT = 8042;

export const DASHBOARD: Command = {
  name: "dashboard",
  isWatching: true,
  summary: "all circuits on a page for browsers, until Ctrl-C",
  details: [
    "The page is served on 127.0.0.1 and shows keys and reasons to every user of this machine. With",
    "--allow-actions each of them can also open, close, release and reset circuits, as you.",
    "--json prints an object with the address.",
  ],
  options: {
    port: { value: "PORT", description: `default ${DEFAULT_PORT}; 0 for a free one` },
    "allow-actions": { description: "let the page open, close, release and reset circuits" },
  },
  examples: ["dashboard", "dashboard --port 9000 --allow-actions"],
  async run(context) {
    const { given, terminal, print, remark } = context;
    const wanted = portOf(given);
    const mayAct = given.options["allow-actions"] === true;
    const store = await context.store();
    await store.check();
    const handler = dashboard(store, {
      readOnly: !mayAct,
      authorize: () => mayAct ? { actor: terminal.user.slice(0, 200) } : "read",
    });
    const server = await serveHttp(ownHostOnly(handler), wanted);
    const url = `http://127.0.0.1:${server.port}/`;
    let stop = () => {};
    const stopped = new Promise<ExitCode>((resolve) => {
      stop = terminal.onInterrupt(resolve);
    });
    try {
      await print(given.options.json ? jsonLine({ url }) : `The dashboard is at ${url}`);
      if (!given.options.json) {
        await remark(`${mayAct ? "It can act. " : "It is read only. "}Ctrl-C ends it.`);
      }
      return await stopped;
    } finally {
      stop();
      await server.close();
    }
  },
};

/**
 * Refuses requests for another host than this machine. A page of another site could otherwise point its
 * own name at this address, and its script would then read and act like the dashboard's own.
 */
export function ownHostOnly(handler: WebHandler): WebHandler {
  return async (request) => {
    const { hostname } = new URL(request.url);
    if (hostname === "127.0.0.1" || hostname === "localhost") return await handler(request);
    return new Response("This dashboard is served to 127.0.0.1 and localhost.\n", { status: 403 });
  };
}

function portOf(given: Given): number {
  const text = textOption(given.options, "port");
  if (text === undefined) return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port >= 0 && port <= 65_535) return port;
  throw new UsageError(
    `Cannot serve dashboard: --port must be a whole number from 0 to 65535, received ${
      describe(text)
    }`,
    given.command.name,
  );
}
