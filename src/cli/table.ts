/** Tables for people, which fit the width of the terminal. */

import { type Color, colored, type Output } from "./terminal.ts";
import { fittedKey, fittedText, printable, shellQuoted, widthOf } from "./text.ts";

/** What one row says in a column. */
export interface Cell {
  readonly text: string;
  readonly color?: Color | undefined;
}

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** A key is printed as an argument for a shell, and loses its middle where it is too long. */
  readonly isKey?: boolean;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
  /** The least width that it is cut to; absent for a column that is never cut. */
  readonly least?: number;
  /** Whether it may be left out where the terminal is too narrow for all; the last such goes first. */
  readonly isOptional?: boolean;
}

const GAP = "  ";

/** The lines of a table, its titles first. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  output: Output,
): string[] {
  const used = columns.map((_, index) => index).filter((index) =>
    // A column in which no row says anything says nothing.
    rows.some((row) => row[index]!.text !== "") || columns[index]!.isOptional !== true
  );
  const natural = columns.map((column, index) =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(shown(column, row[index]!.text))))
  );
  const widths = fittedWidths(columns, natural, used, output.columns);
  const line = (cells: readonly Cell[]) =>
    used.map((index, place) => {
      const { text, color } = cells[index]!;
      const fitted = fit(columns[index]!, text, widths[index]!);
      const padding = " ".repeat(Math.max(0, widths[index]! - widthOf(fitted)));
      const painted = colored(output, color, fitted);
      if (columns[index]!.isNumber) return padding + painted;
      return place === used.length - 1 ? painted : painted + padding;
    }).join(GAP).trimEnd();
  const titles = used.map((index, place) => {
    const { title, isNumber } = columns[index]!;
    if (isNumber) return title.padStart(widths[index]!);
    return place === used.length - 1 ? title : title.padEnd(widths[index]!);
  }).join(GAP).trimEnd();
  return [colored(output, "title", titles), ...rows.map(line)];
}

function shown({ isKey }: Column, text: string): string {
  return isKey ? shellQuoted(text) : printable(text);
}

function fit({ isKey }: Column, text: string, width: number): string {
  return isKey ? fittedKey(text, width) : fittedText(text, width);
}

/** Takes columns out of `used`, and cuts the widest of the others, until all of them fit. */
function fittedWidths(
  columns: readonly Column[],
  natural: readonly number[],
  used: number[],
  available: number | undefined,
): number[] {
  const widths = [...natural];
  if (available === undefined) return widths;
  const least = (index: number) => Math.min(natural[index]!, columns[index]!.least ?? Infinity);
  const total = (of: (index: number) => number) =>
    used.reduce((sum, index) => sum + of(index), (used.length - 1) * GAP.length);
  while (total(least) > available) {
    const place = used.findLastIndex((index) => columns[index]!.isOptional);
    if (place === -1) break;
    used.splice(place, 1);
  }
  for (let excess = total((index) => widths[index]!) - available; excess > 0; excess--) {
    const widest = used.filter((index) => widths[index]! > least(index))
      .toSorted((a, b) => widths[b]! - widths[a]!)[0];
    if (widest === undefined) break;
    widths[widest]!--;
  }
  return widths;
}
