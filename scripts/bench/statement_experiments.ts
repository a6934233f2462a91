import before from "./before_the_log.json" with { type: "json" };
import { atMost, times, type Verdict } from "./bars.ts";
import {
  captureHistory,
  captureRecord,
  captureRefresh,
  captureWatch,
  type HistoryPage,
} from "./capture.ts";
import type { Experiment, Outcome } from "./experiment.ts";
import { costRatio, replay, type ReplayCost, type ReplayPace, shownCost } from "./replay.ts";
import type { Stage } from "./stage.ts";

/** What single statements may cost the server. */
export const STATEMENT_BARS = {
  /** Microseconds of CPU time of a refresh with nothing new, planning included. */
  refreshUs: 100,
  /** A record over what it cost before there was a log. */
  record: 1.25,
  /** Microseconds of CPU time of a look of a watch, and of a page of the history. */
  lookUs: 1000,
} as const;

const CIRCUITS = 1000;
const LOG_ROWS = 100_000;
const PAGE = 100;

const us = (figure: number) => `${figure.toFixed(0)} us`;

function pace(isQuick: boolean): ReplayPace {
  return isQuick ? { rounds: 7, perRound: 300 } : { rounds: 15, perRound: 1000 };
}

/** A refresh with nothing new, where the log is long. */
async function refreshIdle(stage: Stage, isQuick: boolean): Promise<Outcome> {
  await using database = await stage.createDatabase();
  await database.fill(CIRCUITS);
  await database.fillLog(LOG_ROWS, CIRCUITS);
  const refresh = await captureRefresh(database, 10);
  const { url } = database;
  const bare = { text: "select 1", params: [] };
  const [prepared, unprepared, least] = await replay(stage, [
    { ...refresh, url, label: "refresh with nothing new" },
    { ...refresh, url, label: "the same, planned each time (prepare: false)", isPrepared: false },
    { ...bare, url, label: "for comparison: select 1" },
  ], pace(isQuick));
  return {
    lines: [
      `log of ${LOG_ROWS.toLocaleString("en")} rows`,
      ...[prepared, unprepared, least].map((cost) => shownCost(cost!)),
    ],
    figures: { prepared, unprepared, least, text: refresh.text },
    verdicts: [
      atMost(
        "refresh-idle: server CPU of a refresh with nothing new",
        prepared!.median,
        STATEMENT_BARS.refreshUs,
        us,
      ),
    ],
  };
}

/** Records, in turns with the statements of the release before the log on its own table. */
async function recordCost(stage: Stage, isQuick: boolean): Promise<Outcome> {
  await using now = await stage.createDatabase();
  await using then = await stage.createDatabase(before.schema);
  const lines: string[] = [];
  const verdicts: Verdict[] = [];
  const figures: Record<string, unknown> = {};
  for (const method of ["recordSuccess", "recordFailure"] as const) {
    for (const keys of [1, 64] as const) {
      for (const database of [now, then]) await database.fill(64);
      const name = `${method}-${keys}` as const;
      const [ours, old] = await replay(stage, [
        { ...await captureRecord(now, method, keys), url: now.url, label: name },
        { ...before.statements[name], url: then.url, label: `${name} before` },
      ], pace(isQuick));
      lines.push(shownCost(ours!), shownCost(old!));
      figures[name] = { ours, old };
      verdicts.push(
        atMost(
          `record-cost: ${method}, ${keys === 1 ? "one hot key" : `${keys} keys`}`,
          costRatio(ours!, old!),
          STATEMENT_BARS.record,
          times,
        ),
      );
    }
  }
  return { lines, figures, verdicts };
}

/** A look of a watch over many circuits. */
async function watchLook(stage: Stage, isQuick: boolean): Promise<Outcome> {
  await using database = await stage.createDatabase();
  await database.fill(1_000_000);
  await database.fillLog(LOG_ROWS, CIRCUITS);
  const look = await captureWatch(database);
  const { url } = database;
  const quiet = await replay(
    stage,
    [{ ...look, url, label: "a look with nothing new" }],
    pace(isQuick),
  );
  await database.fillLog(PAGE, CIRCUITS, true);
  const busy = await replay(
    stage,
    [{ ...look, url, label: `a look with ${PAGE} new changes` }],
    pace(isQuick),
  );
  return looked("watch-look", [...quiet, ...busy], [
    `table of 1,000,000 circuits, log of ${LOG_ROWS.toLocaleString("en")} rows`,
  ]);
}

/** Pages of the history. */
async function historyPage(stage: Stage, isQuick: boolean): Promise<Outcome> {
  await using database = await stage.createDatabase();
  await database.fill(1_000_000);
  await database.fillLog(LOG_ROWS, CIRCUITS);
  const pages: [label: string, page: HistoryPage][] = [
    ["the first page", { limit: PAGE }],
    ["a page of one circuit", { key: "circuit-7", limit: PAGE }],
    ["a page of the last minute", { since: Date.now() - 60_000, limit: PAGE }],
    ["a page of one circuit's last minute", {
      key: "circuit-7",
      since: Date.now() - 60_000,
      limit: PAGE,
    }],
  ];
  const costs: ReplayCost[] = [];
  for (const [label, page] of pages) {
    const statement = await captureHistory(database, page);
    costs.push(...await replay(stage, [{ ...statement, url: database.url, label }], pace(isQuick)));
  }
  return looked("history-page", costs, [
    `${PAGE} changes of a log of ${LOG_ROWS.toLocaleString("en")} rows`,
  ]);
}

function looked(name: string, costs: ReplayCost[], lines: string[]): Outcome {
  return {
    lines: [...lines, ...costs.map(shownCost)],
    figures: { costs },
    verdicts: costs.map(({ label, median }) =>
      atMost(`${name}: server CPU of ${label}`, median, STATEMENT_BARS.lookUs, us)
    ),
  };
}

/** What single statements cost the server, with the bars of {@linkcode STATEMENT_BARS}. */
export const STATEMENT_EXPERIMENTS: readonly Experiment[] = [
  {
    name: "refresh-idle",
    title: "A refresh with nothing new",
    isQuick: true,
    run: refreshIdle,
  },
  {
    name: "record-cost",
    title: "Records, in turns with the statements before there was a log",
    isQuick: true,
    run: recordCost,
  },
  { name: "watch-look", title: "A look of a watch", isQuick: true, run: watchLook },
  { name: "history-page", title: "A page of the history", isQuick: true, run: historyPage },
];
