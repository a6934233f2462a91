/** `instances`: which instances use the table. */

import type { CircuitInstance } from "../../listing_types.ts";
import type { Command } from "../command.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { type Column, tableLines } from "../table.ts";
import { jsonLine } from "../text.ts";
import { shownDuration, shownTime } from "../times.ts";

const COLUMNS: readonly Column[] = [
  { title: "INSTANCE", least: 10 },
  { title: "VERSION", least: 5 },
  { title: "SEEN" },
  { title: "STALENESS", isOptional: true },
  { title: "ID", least: 8, isOptional: true },
];

export const INSTANCES: Command = {
  name: "instances",
  summary: "which instances use the table, their versions, and when each was last seen",
  details: [
    "Those of the last 15 minutes are shown. An instance shows itself about every 30 seconds while it is",
    "in use.",
    "--json prints an array of instances, as store.instances() returns them: times are epoch",
    "milliseconds.",
  ],
  options: {},
  examples: ["instances", "instances --json"],
  async run(context) {
    const { given, terminal, print } = context;
    const instances = await (await context.store()).instances();
    if (given.options.json) {
      await print(jsonLine(instances));
    } else if (instances.length === 0) {
      await print("No instance was seen in the last 15 minutes.");
    } else {
      await print(...tableLines(COLUMNS, instances.map(cellsOf), terminal.out));
    }
    return EXIT_CODES.done;
  },
};

function cellsOf({ id, label, libraryVersion, maxStalenessMs, lastSeenAt }: CircuitInstance) {
  return [
    { text: label },
    { text: libraryVersion },
    { text: `${shownTime(lastSeenAt)} (${shownDuration(Date.now() - lastSeenAt)})` },
    { text: maxStalenessMs === 0 ? "" : `${maxStalenessMs}ms` },
    { text: id },
  ];
}
