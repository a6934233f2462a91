/** `list`: the circuits, those that are open first. */

import type { CircuitListing } from "../../listing_types.ts";
import { CIRCUIT_STATES, type CircuitState } from "../../types.ts";
import { countOption, textOption, wordOption } from "../arguments.ts";
import { circuitsFrom } from "../circuits.ts";
import type { Command, Context } from "../command.ts";
import { nextOf, sinceOf, stateColor, stateWords, whoOf, whyOf } from "../describe_circuit.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { type Column, tableLines } from "../table.ts";
import { jsonLine } from "../text.ts";
import { shownDuration, shownTime } from "../times.ts";

const DEFAULT_LIMIT = 100;
const MOST = 100_000;

/** What an operator looks for comes first. */
const ORDER: readonly CircuitState[] = ["open", "half-open", "closed"];

const COLUMNS: readonly Column[] = [
  { title: "STATE" },
  { title: "KEY", isKey: true, least: 12 },
  { title: "SINCE" },
  { title: "WHY", least: 5 },
  { title: "WHO", least: 6, isOptional: true },
  { title: "REFUSED", isNumber: true, isOptional: true },
  { title: "NEXT", isOptional: true },
  { title: "FAILURES", isNumber: true, isOptional: true },
];

export const LIST: Command = {
  name: "list",
  summary: "which circuits there are: those that are open first",
  details: [
    "Each line says which circuit, since when, why, who, and how many requests it refused.",
    "A key is printed such that a shell takes it as one word. One that is too long for the terminal",
    "loses its middle, and can be pasted like that too.",
    "--json prints an array of listings, as store.list() returns them: times are epoch milliseconds.",
  ],
  options: {
    state: { value: "STATE", description: `only ${CIRCUIT_STATES.join(", ")}` },
    prefix: { value: "TEXT", description: "only keys that begin with it" },
    limit: { value: "COUNT", description: `how many at most, default ${DEFAULT_LIMIT}` },
  },
  examples: ["list", "list --state open", "list --prefix /api/ --limit 1000 --json"],
  async run(context) {
    const { given, terminal, print } = context;
    const limit = countOption(given, "limit", DEFAULT_LIMIT, MOST);
    const circuits = await read(context, limit);
    const isCut = circuits.length > limit;
    circuits.length = Math.min(circuits.length, limit);
    if (given.options.json) {
      await print(jsonLine(circuits));
    } else if (circuits.length === 0) {
      await print("There are no such circuits: all are closed, with nothing to remember.");
    } else {
      await print(...tableLines(COLUMNS, circuits.map((each) => cellsOf(each)), terminal.out));
    }
    if (isCut) await context.remark(`These are the first ${limit}: --limit shows more.`);
    return EXIT_CODES.done;
  },
};

/** One more than the limit, where there are as many. */
async function read(context: Context, limit: number): Promise<CircuitListing[]> {
  const { given } = context;
  const state = wordOption(given, "state", CIRCUIT_STATES);
  const prefix = textOption(given.options, "prefix");
  const store = await context.store();
  // A circuit that moves meanwhile is in two of the answers.
  const found = new Map<string, CircuitListing>();
  for (const each of state === undefined ? ORDER : [state]) {
    const wanted = limit + 1 - found.size;
    if (wanted <= 0) break;
    for await (const listing of circuitsFrom(store, { prefix, state: each, limit: wanted })) {
      if (!found.has(listing.storedKey)) found.set(listing.storedKey, listing);
    }
  }
  return [...found.values()];
}

function cellsOf(circuit: CircuitListing) {
  const now = Date.now();
  const since = sinceOf(circuit);
  return [
    { text: stateWords(circuit), color: stateColor(circuit) },
    { text: circuit.storedKey },
    { text: since > 0 ? `${shownTime(since)} (${shownDuration(now - since)})` : "" },
    { text: whyOf(circuit) },
    { text: whoOf(circuit) },
    { text: circuit.refusedCount > 0 ? String(circuit.refusedCount) : "" },
    { text: nextOf(circuit, now) },
    { text: circuit.failureCount > 0 ? String(circuit.failureCount) : "" },
  ];
}
