/**
 * How the place of a reader in the log is written, so that a program can keep it.
 *
 * A place says what a reader has seen: all that was visible at the moment `from`, and of what became
 * visible until the moment `to` all versions up to `version`. What is new to the reader is the rest of
 * that, and then all that was not visible at `to`.
 *
 * The text has five parts with dots between them: the format, the run, `from`, `to` and the version.
 * Numbers are in base 36. A moment is its version, `xmin`, and how far `xmax` and each running
 * transaction lie above the number before: 2,000 running transactions take about 5 kB.
 */

import { describe } from "../describe.ts";
import type { LogCursor } from "../ports.ts";

/** A place in the log after a change. Both moments are of one run. */
export interface LogPlace {
  /** Where the reading of the present part began; `undefined` for the beginning of the log. */
  readonly from: LogCursor | undefined;
  /** Where the present part ends. */
  readonly to: LogCursor;
  /** The last version that was seen of the part. */
  readonly version: number;
}

const FORMAT = "1";

/** The highest id of a transaction that PostgreSQL writes: those of `xid8` are 64 bits wide. */
const MAX_ID = 2n ** 64n - 1n;

/** What a run may look like: printable ASCII, and no more than a few identifiers. */
const RUN = /^[\x20-\x7e]{0,500}$/;

/** No cursor is longer: 100,000 running transactions would fit. */
const MAX_LENGTH = 2_000_000;

/** The cursors of changes that lie in one part of the log, by their versions. */
export function cursorsOf(from: LogCursor | undefined, to: LogCursor): (version: number) => string {
  const begin = from === undefined ? "" : momentText(from);
  const part = `${FORMAT}.${runText(to.run)}.${begin}.${momentText(to)}.`;
  return (version) => part + version.toString(36);
}

/** The cursor of a place. */
export function encodeCursor({ from, to, version }: LogPlace): string {
  return cursorsOf(from, to)(version);
}

/**
 * Reads a cursor.
 *
 * @throws {RangeError} If the text is no cursor that this library wrote.
 */
export function decodeCursor(action: string, text: string): LogPlace {
  const place = text.length > MAX_LENGTH ? undefined : placeOf(text);
  // Written anew it must be the same text: every place has one form.
  if (place !== undefined && encodeCursor(place) === text) return place;
  throw new RangeError(
    `Cannot ${action}: "after" must be the cursor of a change, received ${describe(text)}`,
  );
}

function placeOf(text: string): LogPlace | undefined {
  const [format, runPart, fromPart, toPart, versionPart] = text.split(".");
  if (format !== FORMAT || versionPart === undefined) return undefined;
  const run = runOf(runPart!);
  const version = numberOf(versionPart);
  if (run === undefined || version === undefined) return undefined;
  const from = fromPart === "" ? undefined : momentOf(fromPart!, run);
  const to = momentOf(toPart!, run);
  if (to === undefined || from === undefined && fromPart !== "") return undefined;
  return { from, to, version };
}

function momentText({ snapshot, version }: LogCursor): string {
  const [xmin, xmax, xips] = snapshot.split(":") as [string, string, string];
  const parts = [version.toString(36), BigInt(xmin).toString(36)];
  parts.push((BigInt(xmax) - BigInt(xmin)).toString(36));
  let last = BigInt(xmin);
  for (const xip of xips === "" ? [] : xips.split(",")) {
    parts.push((BigInt(xip) - last).toString(36));
    last = BigInt(xip);
  }
  return parts.join("-");
}

function momentOf(text: string, run: string): LogCursor | undefined {
  const [versionPart, ...idParts] = text.split("-");
  const version = numberOf(versionPart!);
  const ids = idParts.map(idOf);
  if (version === undefined || ids.length < 2 || ids.includes(undefined)) return undefined;
  const [xmin, width, ...steps] = ids as bigint[];
  const xmax = xmin! + width!;
  const xips: bigint[] = [];
  let last = xmin!;
  for (const [i, step] of steps.entries()) {
    // They ascend. The first can be the lowest id itself.
    if (step === 0n && i > 0) return undefined;
    last += step;
    xips.push(last);
  }
  if (xmin === 0n || xmax > MAX_ID || xips.length > 0 && last >= xmax) return undefined;
  return { snapshot: `${xmin}:${xmax}:${xips.join()}`, version, run };
}

function runText(run: string): string {
  return btoa(run).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function runOf(text: string): string | undefined {
  try {
    const run = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return RUN.test(run) ? run : undefined;
  } catch {
    return undefined; // no text in base 64
  }
}

function numberOf(text: string): number | undefined {
  if (!/^[0-9a-z]{1,11}$/.test(text)) return undefined;
  const value = parseInt(text, 36);
  return Number.isSafeInteger(value) ? value : undefined;
}

function idOf(text: string): bigint | undefined {
  if (!/^[0-9a-z]{1,13}$/.test(text)) return undefined;
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(parseInt(digit, 36));
  return value;
}
