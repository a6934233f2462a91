/** Durations and moments, as operators type them and as they are printed. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const PIECE = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

const DATE = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/** A duration such as `10m`, `1h30m` or `500ms`, in milliseconds; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let ms = 0;
  for (const [, count, unit] of text.matchAll(PIECE)) ms += Number(count) * UNIT_MS[unit!]!;
  return ms;
}

/**
 * A moment in epoch milliseconds: a duration before now, `today` or `yesterday` for their midnight, or a
 * date with or without a time. A date without a zone is in the zone of the process. `undefined` for
 * anything else.
 */
export function parseMoment(text: string, now: number): number | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return now - ago;
  if (text === "today" || text === "yesterday") {
    const day = new Date(now);
    day.setHours(0, 0, 0, 0);
    if (text === "yesterday") day.setDate(day.getDate() - 1);
    return day.getTime();
  }
  if (!DATE.test(text)) return undefined;
  // A date alone would be midnight of UTC.
  const time = Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(" ", "T"));
  return Number.isNaN(time) ? undefined : time;
}

/** A duration in its two largest units: `2d 4h`, `12m 5s`. */
export function shownDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (ms > 0 && ms < 1000) return `${Math.ceil(ms)}ms`;
  const parts: [count: number, unit: string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0s";
  return parts.slice(first, first + 2).filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`).join(" ");
}

/** A moment in the zone of the process: `2026-01-31 14:03:12`. */
export function shownTime(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "?";
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${shownClock(ms)}`;
}

/** The time of day of a moment: `14:03:12`. */
export function shownClock(ms: number): string {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((value) => String(value).padStart(2, "0")).join(":");
}

/** A moment and how long ago it was: `2026-01-31 14:03:12 (12m ago)`. */
export function shownSince(ms: number, now: number): string {
  return `${shownTime(ms)} (${shownDuration(now - ms)} ago)`;
}
