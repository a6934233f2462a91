/** `prune`: removes circuits that were idle for long. */

import { durationOption } from "../arguments.ts";
import type { Command } from "../command.ts";
import { counted } from "../describe_circuit.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { jsonLine } from "../text.ts";
import { shownDuration } from "../times.ts";

const DAY_MS = 86_400_000;
const AT_ONCE = 1000;

export const PRUNE: Command = {
  name: "prune",
  summary: "remove closed circuits that were idle for a day",
  details: [
    "Circuits that are open, half-open, forced or voted for stay, and so do those that changed within",
    "the last hour. --json prints an object: removed, a number.",
  ],
  options: { idle: { value: "TIME", description: "how long without a result, default 24h" } },
  examples: ["prune", "prune --idle 7d"],
  async run(context) {
    const idleMs = durationOption(context.given, "idle") ?? DAY_MS;
    const store = await context.store();
    let removed = 0;
    for (let count = -1; count !== 0; removed += count) {
      count = await store.prune({ idleMs, limit: AT_ONCE });
    }
    await context.print(
      context.given.options.json
        ? jsonLine({ removed })
        : `${counted(removed, "circuit")} removed that had been idle for ${shownDuration(idleMs)}.`,
    );
    return EXIT_CODES.done;
  },
};
