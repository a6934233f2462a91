/**
 * Segments: what a window counts, in ten tenths. The array of a row begins with the length of a segment
 * in milliseconds, the number of the newest one (the time divided by the length), and the number of the
 * one in which a writer last asked for this length. After these come the cells, the newest segment
 * first: one cell for each kind of count.
 *
 * Instances with windows of other lengths may write the same row. The row has the longest length that a
 * writer asked for within one of its windows. A shorter window sums fewer cells. Where the length
 * changes, each count goes to the segment in which the old one ended.
 */

/** The numbers of a row: the three of the head, and then the cells. */
export type Segments = readonly number[];

/** How many segments a window has. */
const COUNT = 10;

/** How many numbers stand before the cells. */
const HEAD = 3;

/** The most that a cell counts: more than a table can record in a segment. */
const MAX_CELL = 900_000_000;

/** How long a segment of a window is, in milliseconds. */
export function segmentMs(windowMs: number): number {
  return Math.max(1, Math.floor(windowMs / COUNT));
}

/** The number of the segment that a moment lies in. */
function numberOf(at: number, length: number): number {
  return Math.trunc(at / length);
}

/**
 * The segments after counts were added. A clock that was set back adds to the newest segment. Where the
 * newest one lies a window away, before or after now, the segments begin anew.
 *
 * @param windowMs The window of the writer, `undefined` for one without: it leaves the form as it is.
 * @param added What is added, by kind.
 */
export function addToSegments(
  segments: Segments | undefined,
  now: number,
  windowMs: number | undefined,
  added: readonly number[],
): Segments | undefined {
  const kept = segments !== undefined && isFormKept(segments, now, windowMs);
  const length = kept ? segments[0]! : windowMs && segmentMs(windowMs);
  if (length === undefined) return undefined;
  const number = numberOf(now, length);
  const isAsked = !kept || windowMs !== undefined && segmentMs(windowMs) === length;
  const cells = segments === undefined
    ? []
    : kept
    ? shifted(segments, number - segments[1]!, added.length)
    : rebucketed(segments, now, length, added.length);
  const isSetBack = kept && cells.length > 0 && segments[1]! > number;
  const newest = isSetBack ? segments[1]! : number;
  return [
    length,
    newest,
    isAsked ? newest : segments![2]!,
    ...Array.from(
      { length: COUNT * added.length },
      (_, i) => Math.min((cells[i] ?? 0) + (added[i] ?? 0), MAX_CELL),
    ),
  ];
}

/** Whether a writer leaves the length of the segments as it is. */
function isFormKept(segments: Segments, now: number, windowMs: number | undefined): boolean {
  const [length, , asked] = segments as [number, number, number];
  if (windowMs === undefined || segmentMs(windowMs) === length) return true;
  return length > segmentMs(windowMs) && Math.abs(numberOf(now, length) - asked) < COUNT;
}

/** The cells, a number of segments later; none where the newest one lies a window away. */
function shifted(segments: Segments, later: number, kinds: number): readonly number[] {
  if (Math.abs(later) >= COUNT) return [];
  return [...Array(Math.max(0, later) * kinds).fill(0), ...segments.slice(HEAD)];
}

/** The cells for another length. */
function rebucketed(segments: Segments, now: number, length: number, kinds: number): number[] {
  const [oldLength, newest] = segments as [number, number];
  const cells: number[] = Array(COUNT * kinds).fill(0);
  if (newest - numberOf(now, oldLength) >= COUNT) return cells;
  for (let old = 0; old < COUNT; old++) {
    const end = Math.min((newest - old + 1) * oldLength - 1, now);
    const target = numberOf(now, length) - numberOf(end, length);
    if (target >= COUNT) continue;
    for (let kind = 0; kind < kinds; kind++) {
      cells[target * kinds + kind]! += segments[HEAD + old * kinds + kind]!;
    }
  }
  return cells;
}

/** SQL: the segments after counts were added. All of the operands are evaluated several times. */
export function addToSegmentsSql(
  segments: string,
  now: string,
  windowMs: number | undefined,
  added: readonly string[],
): string {
  const kinds = added.length;
  const s = (place: number | string) => `${segments}[${place}]`;
  const number = `(${now} / ${s(1)})`;
  const least = (count: string) => `least(${count}, ${MAX_CELL})`;
  const length = windowMs === undefined ? undefined : `${segmentMs(windowMs)}::bigint`;
  const asked = (newest: string) =>
    length === undefined ? s(3) : `case when ${s(1)} = ${length} then ${newest} else ${s(3)} end`;
  const last = HEAD + COUNT * kinds;
  const within = `case when abs(${number} - ${s(2)}) >= ${COUNT}
      then ${begun(s(1), now, asked(number), added)}
    when ${number} <= ${s(2)} then pg_catalog.array_cat(
      array[${
    [
      s(1),
      s(2),
      asked(s(2)),
      ...added.map((each, kind) => least(`${s(HEAD + 1 + kind)} + ${each}`)),
    ].join(", ")
  }],
      ${s(`${HEAD + 1 + kinds}:${last}`)})
    else pg_catalog.array_cat(pg_catalog.array_cat(
      array[${[s(1), number, asked(number), ...added.map(least)].join(", ")}],
      pg_catalog.array_fill(0::bigint, array[((${number} - ${s(2)} - 1) * ${kinds})::int])),
      ${s(`${HEAD + 1}:(${last} - (${number} - ${s(2)}) * ${kinds})::int`)}) end`;
  if (length === undefined) return `case when ${segments} is null then null else ${within} end`;
  return `case when ${segments} is null then ${firstSegmentsSql(now, windowMs!, added)}
    when ${s(1)} = ${length} or ${s(1)} > ${length} and abs(${number} - ${s(3)}) < ${COUNT}
    then ${within}
    else ${rebucketedSql(segments, now, length, added)} end`;
}

/** SQL: the segments of a new row. */
export function firstSegmentsSql(
  now: string,
  windowMs: number,
  added: readonly string[],
): string {
  const length = `${segmentMs(windowMs)}::bigint`;
  return begun(length, now, `(${now} / ${length})`, added);
}

/** SQL: what the first cells of new segments of calls say of slow ones, for a row's first results. */
export function firstSlow(segments: string): string {
  return `coalesce(${segments}[${HEAD + 3}], 0)`;
}

function begun(length: string, now: string, asked: string, added: readonly string[]): string {
  const cells = added.map((each) => `least(${each}, ${MAX_CELL})`);
  return `pg_catalog.array_cat(array[${
    [length, `${now} / ${length}`, asked, ...cells].join(", ")
  }]::bigint[],
      pg_catalog.array_fill(0::bigint, array[${(COUNT - 1) * added.length}]))`;
}

function rebucketedSql(
  segments: string,
  now: string,
  length: string,
  added: readonly string[],
): string {
  const s = (place: number | string) => `${segments}[${place}]`;
  const kinds = added.length;
  const more = added.map((each, kind) => `when ${kind} then ${each}`).join(" ");
  return `pg_catalog.array_cat(array[${length}, ${now} / ${length}, ${now} / ${length}], array(
      select least((
        select coalesce(sum(${s(`${HEAD + 1} + old.place * ${kinds} + cell.place % ${kinds}`)}), 0)
        from pg_catalog.generate_series(0, ${COUNT - 1}) as old (place)
        where ${s(2)} - ${now} / ${s(1)} < ${COUNT} and ${now} / ${length}
          - least((${s(2)} - old.place + 1) * ${s(1)} - 1, ${now}) / ${length}
          = cell.place / ${kinds}
      )::bigint + case cell.place ${more} else 0 end, ${MAX_CELL})
      from pg_catalog.generate_series(0, ${COUNT * kinds - 1}) as cell (place)
      order by cell.place
    ))`;
}

/** Whether segments have the length of a window's own, and the newest one is that of now. */
export function isNewestNow(segments: Segments, now: number, windowMs: number): boolean {
  const length = segmentMs(windowMs);
  return segments[0] === length && segments[1] === numberOf(now, length);
}

/** SQL: the same; null where there are no segments. */
export function isNewestNowSql(segments: string, now: string, windowMs: number): string {
  const length = `${segmentMs(windowMs)}::bigint`;
  return `(${segments}[1] = ${length} and ${segments}[2] = ${now} / ${length})`;
}

/** The segments after counts were added to the newest one, for a window of their own length. */
export function addToNewest(segments: Segments, added: readonly number[]): Segments {
  return segments.map((number, place) => {
    if (place === 2) return segments[1]!;
    const more = added[place - HEAD];
    return more === undefined ? number : Math.min(number + more, MAX_CELL);
  });
}

/** SQL: the same. */
export function addToNewestSql(segments: string, added: readonly string[]): string {
  const first = HEAD + 1;
  const cells = added.map((each, kind) =>
    `least(${segments}[${first + kind}] + ${each}, ${MAX_CELL})`
  );
  const head = [`${segments}[1]`, `${segments}[2]`, `${segments}[2]`];
  return `pg_catalog.array_cat(array[${[...head, ...cells].join(", ")}],
      ${segments}[${first + added.length}:${HEAD + COUNT * added.length}])`;
}

/**
 * How many cells of a kind lie in a window now. A window that is shorter than a segment has the newest
 * one all the same.
 */
export function cellsInWindow(segments: Segments, now: number, windowMs: number): number {
  const [length, newest] = segments as [number, number];
  const later = numberOf(now, length) - newest;
  if (Math.abs(later) >= COUNT) return 0;
  const cells = Math.min(Math.max(Math.floor(windowMs / length), 1), COUNT);
  return Math.max(0, cells - Math.max(0, later));
}

/** SQL: the same, 0 where there are no segments. */
export function cellsInWindowSql(segments: string, now: string, windowMs: number): string {
  const later = `(${now} / ${segments}[1] - ${segments}[2])`;
  return `case when coalesce(abs(${later}) >= ${COUNT}, true) then 0
    else greatest(least(greatest(${windowMs}::bigint / ${segments}[1], 1), ${COUNT})
      - greatest(${later}, 0), 0) end`;
}

/**
 * How many cells of a kind lie in a window after counts were added now: the newest one holds them. The
 * segments are those before.
 */
export function cellsAfterAdding(
  segments: Segments | undefined,
  now: number,
  windowMs: number,
): number {
  const isKept = segments !== undefined && isFormKept(segments, now, windowMs);
  const length = isKept ? segments[0]! : segmentMs(windowMs);
  return Math.min(Math.max(Math.floor(windowMs / length), 1), COUNT);
}

/** SQL: the same. */
export function cellsAfterAddingSql(segments: string, now: string, windowMs: number): string {
  const length = segmentMs(windowMs);
  const s = (place: number) => `${segments}[${place}]`;
  return `case when ${s(1)} > ${length} and abs(${now} / ${s(1)} - ${s(3)}) < ${COUNT}
    then greatest(${windowMs}::bigint / ${s(1)}, 1)
    else ${cellsAfterAdding(undefined, 0, windowMs)} end`;
}

/** The sum of the newest cells of a kind. */
export function sumSegments(
  segments: Segments | undefined,
  cells: number,
  kind = 0,
  kinds = 1,
): number {
  let sum = 0;
  if (segments === undefined) return sum;
  for (let place = 0; place < cells; place++) sum += segments[HEAD + place * kinds + kind]!;
  return sum;
}

/** SQL: the same, 0 where there are no segments. */
export function sumSegmentsSql(segments: string, cells: string, kind = 0, kinds = 1): string {
  const terms = Array.from(
    { length: COUNT },
    (_, place) =>
      `case when ${cells} > ${place} then ${segments}[${
        HEAD + 1 + place * kinds + kind
      }] else 0 end`,
  );
  return `coalesce(${terms.join("\n      + ")}, 0)`;
}

/** SQL: the sum of a fixed number of cells of a kind, after more was added to the newest one. */
export function sumAfter(
  segments: string,
  cells: number,
  added: readonly string[],
  kind: number,
): string {
  const cell = (place: number) => `${segments}[${HEAD + 1 + place * added.length + kind}]`;
  const newest = `least(${cell(0)} + ${added[kind]}, ${MAX_CELL})`;
  const others = Array.from({ length: cells - 1 }, (_, i) => cell(i + 1));
  return `(${[newest, ...others].join(" + ")})`;
}

/** The segments without their counts. */
export function clearSegments(segments: Segments | undefined): Segments | undefined {
  return segments?.map((number, place) => place < HEAD ? number : 0);
}

/** SQL: the same. */
export function clearSegmentsSql(segments: string, kinds: number): string {
  return `case when ${segments} is null then null else pg_catalog.array_cat(${segments}[1:${HEAD}],
      pg_catalog.array_fill(0::bigint, array[${COUNT * kinds}])) end`;
}
