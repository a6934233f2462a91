/** `history`: what changed, as the log has it. */

import type { CircuitChange, HistoryOptions } from "../../operator_types.ts";
import type { PostgresCircuitBreakerStore } from "../../store.ts";
import { countOption, momentOption, textOption } from "../arguments.ts";
import { findCircuit } from "../circuits.ts";
import type { Command } from "../command.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { type Column, tableLines } from "../table.ts";
import type { Color } from "../terminal.ts";
import { jsonLine } from "../text.ts";
import { shownTime } from "../times.ts";

const DAY_MS = 86_400_000;
const DEFAULT_LIMIT = 100;
const MOST = 100_000;
const PAGE = 2000;

const COLUMNS: readonly Column[] = [
  { title: "AT" },
  { title: "KEY", isKey: true, least: 12 },
  { title: "CHANGE" },
  { title: "WHY" },
  { title: "WHO", least: 6, isOptional: true },
  { title: "REASON", least: 6, isOptional: true },
  { title: "FAILURES", isNumber: true, isOptional: true },
  { title: "ROLE", least: 6, isOptional: true },
];

export const HISTORY: Command = {
  name: "history",
  summary: "what changed, why, by whom and for what reason: the last 24 hours, the newest last",
  details: [
    "ROLE is the database role of the session that wrote the change. WHO is what the writer says.",
    "--json prints an array of changes, as store.history() returns them: times are epoch milliseconds.",
  ],
  options: {
    since: {
      value: "TIME",
      description: '24h, 7d, "today", "yesterday" or 2026-01-31T14:00, default 24h',
    },
    until: { value: "TIME", description: "the end, in the same forms, default now" },
    key: { value: "KEY", description: "only one circuit" },
    limit: {
      value: "COUNT",
      description: `how many at most, the last ones, default ${DEFAULT_LIMIT}`,
    },
    rounds: { description: "also rounds of probes, which leave the circuit half-open" },
  },
  examples: [
    "history",
    "history --since yesterday --until today",
    "history --key payments --since 7d --json",
  ],
  async run(context) {
    const { given, terminal, print } = context;
    const { options } = given;
    const now = Date.now();
    const since = momentOption(given, "since", now) ?? now - DAY_MS;
    const until = momentOption(given, "until", now);
    const limit = countOption(given, "limit", DEFAULT_LIMIT, MOST);
    const store = await context.store();
    const typed = textOption(options, "key");
    const key = typed === undefined ? undefined : (await findCircuit(store, typed)).key;
    const rounds = options.rounds === true;
    const { changes, isCut } = await lastChanges(store, { key, since, until, limit, rounds });
    if (options.json) {
      await print(jsonLine(changes));
    } else if (changes.length === 0) {
      await print(`Nothing has changed since ${shownTime(since)}.`);
    } else {
      await print(...tableLines(COLUMNS, changes.map(cellsOf), terminal.out));
    }
    if (isCut) await context.remark(`These are the last ${limit}: --limit shows more.`);
    return EXIT_CODES.done;
  },
};

function cellsOf(change: CircuitChange) {
  const { at, storedKey, from, to, cause, actor, reason, failureCount, role } = change;
  return [
    { text: shownTime(at) },
    { text: storedKey },
    { text: from === to ? to : `${from} -> ${to}`, color: colorOf(change) },
    { text: cause },
    { text: actor },
    { text: reason ?? "" },
    { text: failureCount > 0 ? String(failureCount) : "" },
    { text: role },
  ];
}

/** What a change means for an operator. */
export function colorOf({ to }: CircuitChange): Color {
  return to === "open" ? "bad" : to === "closed" ? "good" : "warning";
}

/** Which changes are wanted. */
interface Wanted extends Pick<HistoryOptions, "key" | "since" | "rounds"> {
  readonly until?: number | undefined;
  readonly limit: number;
}

/** The last changes, the oldest of them first, and whether there are more. The log is read from its beginning. */
export async function lastChanges(
  store: Pick<PostgresCircuitBreakerStore, "history">,
  { key, since, until, limit, rounds }: Wanted,
): Promise<{ changes: CircuitChange[]; isCut: boolean }> {
  let changes: CircuitChange[] = [];
  let isCut = false;
  let after: string | undefined;
  while (true) {
    const page = await store.history({ key, since, after, limit: PAGE, rounds });
    after = page.at(-1)?.cursor;
    changes.push(...page.filter(({ at }) => until === undefined || at < until));
    if (changes.length > limit) {
      changes = changes.slice(-limit);
      isCut = true;
    }
    if (page.length < PAGE) return { changes, isCut };
  }
}
