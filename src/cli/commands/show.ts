/** `show`: one circuit with its last changes. */

import type { CircuitListing } from "../../listing_types.ts";
import type { CircuitChange } from "../../operator_types.ts";
import { findCircuit } from "../circuits.ts";
import type { Command, Context } from "../command.ts";
import {
  changeWords,
  counted,
  nextOf,
  sinceOf,
  stateColor,
  stateWords,
  whoOf,
  whyOf,
} from "../describe_circuit.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { colored } from "../terminal.ts";
import { jsonLine, printable, shellQuoted } from "../text.ts";
import { shownSince, shownTime } from "../times.ts";
import { lastChanges } from "./history.ts";

const CHANGES = 10;

export const SHOW: Command = {
  name: "show",
  hasKey: true,
  summary: "one circuit: state, since when, why, who, refusals, votes, its last changes",
  details: [
    "KEY is the key that the gateway uses, or a key as list prints it.",
    "--json prints an object: circuit (as store.list() returns it, null where nothing is kept) and",
    "history (as store.history() returns it).",
  ],
  options: {},
  examples: ["show payments", "show '/api/v1/orders' --json", "show -- --a-key-with-dashes"],
  async run(context) {
    const { given, terminal, print } = context;
    const store = await context.store();
    const { key, listing } = await findCircuit(store, given.key!);
    const { changes } = await lastChanges(store, { key, limit: CHANGES });
    if (given.options.json) {
      await print(jsonLine({ circuit: listing ?? null, history: changes }));
    } else {
      await print(colored(terminal.out, "title", shellQuoted(key.storedKey)));
      await print(...listing === undefined ? NOTHING : linesOf(context, listing));
      if (changes.length > 0) {
        await print("", "  last changes", ...changes.toReversed().map(changeLine));
      }
    }
    return listing === undefined && changes.length === 0 ? EXIT_CODES.notFound : EXIT_CODES.done;
  },
};

const NOTHING: readonly string[] = [
  "  closed, and nothing is kept of it: no instance has recorded a failure, or it was reset",
];

function linesOf({ terminal }: Context, circuit: CircuitListing): string[] {
  const now = Date.now();
  const { failureCount, successCount, refusedCount, lastFailureTime, votes, forced } = circuit;
  const since = sinceOf(circuit);
  const facts: [name: string, words: string | undefined][] = [
    ["state", colored(terminal.out, stateColor(circuit), stateWords(circuit))],
    ["since", since > 0 ? shownSince(since, now) : undefined],
    ["why", printable(whyOf(circuit))],
    ["who", printable(whoOf(circuit))],
    ["refused", counted(refusedCount, "request")],
    ["counts", `${counted(failureCount, "failure")}, ${counted(successCount, "success")}`],
    ["last failure", lastFailureTime > 0 ? shownSince(lastFailureTime, now) : undefined],
    ["next", nextOf(circuit, now)],
    ["forced until", forced?.until === undefined ? undefined : shownTime(forced.until)],
    ["votes of", votes.map(printable).join(", ")],
    ["version", String(circuit.version)],
  ];
  return facts.filter(([, words]) => words !== undefined && words !== "")
    .map(([name, words]) => `  ${name.padEnd(12)}  ${words}`);
}

function changeLine(change: CircuitChange): string {
  return `  ${shownTime(change.at)}  ${changeWords(change)}`;
}
