/**
 * Answers against the truth: none older than its bound, and none older than what its instance knew
 * already, by an earlier answer or by what it did itself.
 */

import type { RecordedCall, RecordedInstance, RecordedRun } from "../recorded.ts";
import { isOf } from "../recorded.ts";
import { EMPTY_TIMELINE, firstSpanAt, ROUNDING_MS, type Span, timelines } from "./timeline.ts";

/** Within how many bounds caches notice what others did by plain SQL. */
const FOREIGN_BOUNDS = 11;

/** Calls that a store with a cache can answer from its memory. */
const FROM_MEMORY: readonly string[] = ["getState", "peek", "recordSuccess"];

interface Judged {
  call: RecordedCall;
  /** The earliest span that the answer can be of. */
  span: number;
}

/** Answers that are too old, or that go back in what their instance knew. */
export function answerProblems(run: RecordedRun): string[] {
  const truth = timelines(run.rows, run.observations);
  const instances = new Map(run.instances.map((instance) => [instance.name, instance]));
  const problems: string[] = [];
  for (const [id, calls] of answersByCircuit(run.calls)) {
    const { instance: name, key } = calls[0]!;
    const instance = instances.get(name);
    if (instance === undefined) throw new Error(`Cannot check ${id}: the instance is unknown`);
    problems.push(...judge(calls, instance, truth.get(key) ?? EMPTY_TIMELINE));
  }
  return problems;
}

/** The answers of each instance about each circuit. */
function answersByCircuit(calls: readonly RecordedCall[]): Map<string, RecordedCall[]> {
  const found = new Map<string, RecordedCall[]>();
  for (const call of calls) {
    if (call.fate !== "answered" || call.key === "") continue;
    if (call.shown === undefined && call.operation !== "reset") continue;
    const id = `${call.instance} ${call.key}`;
    const own = found.get(id);
    if (own === undefined) found.set(id, [call]);
    else own.push(call);
  }
  return found;
}

function judge(
  calls: RecordedCall[],
  instance: RecordedInstance,
  spans: readonly Span[],
): string[] {
  const problems: string[] = [];
  const judged: Judged[] = calls.map((call) => ({ call, span: 0 }));
  const byBegin = judged.toSorted((a, b) => a.call.begin - b.call.begin);
  const byEnd = judged.toSorted((a, b) => a.call.end - b.call.end);
  let ended = 0;
  let known: Judged | undefined;
  for (const each of byBegin) {
    const { call } = each;
    while (byEnd[ended]!.call.end < call.begin) {
      const done = byEnd[ended++]!;
      if (known === undefined || done.span > known.span) known = done;
    }
    const oldest = firstSpanAt(spans, call.begin - boundOf(call, instance));
    const first = findSpan(call, instance, spans, oldest);
    if (first === undefined) {
      const bound = boundOf(call, instance);
      problems.push(
        `${describe(call)}: no such state within ${bound} ms, ${around(spans, oldest)}`,
      );
      continue;
    }
    // Plain SQL takes no version, which is what orders the knowledge of a cache.
    const isOrdered = instance.boundMs === 0 || !isOf("foreign", call.key);
    const floor = isOrdered ? known?.span ?? 0 : 0;
    const span = findSpan(call, instance, spans, Math.max(oldest, floor));
    if (span === undefined) {
      problems.push(
        `${describe(call)}: older than what ${describe(known!.call)} showed, ` +
          around(spans, known!.span),
      );
      continue;
    }
    each.span = span;
  }
  return problems;
}

function boundOf(call: RecordedCall, instance: RecordedInstance): number {
  if (!FROM_MEMORY.includes(call.operation)) return 0;
  return instance.boundMs * (isOf("foreign", call.key) ? FOREIGN_BOUNDS : 1);
}

/** The first span from a place on that an answer can be of. */
function findSpan(
  call: RecordedCall,
  instance: RecordedInstance,
  spans: readonly Span[],
  from: number,
): number | undefined {
  let later = 0;
  for (let at = from; at < spans.length; at++) {
    const span = spans[at]!;
    // A forced state can end between a statement and its commit. So one span alone can be out of order.
    if (span.from <= call.end + ROUNDING_MS) later = 0;
    else if (++later === 2) return undefined;
    if (later === 0 && isShown(call, instance, span)) return at;
  }
  return undefined;
}

function isShown(call: RecordedCall, instance: RecordedInstance, span: Span): boolean {
  const { shown, operation } = call;
  if (shown === undefined) return span.state === "closed"; // a reset
  const isAdmission = operation === "getState";
  if (isAdmission && shown.state === "open") {
    // A caller that gets no probe sees an open circuit, since a time that makes the policy wait.
    return span.state === "open" ||
      span.state === "half-open" && instance.halfOpenMax !== undefined;
  }
  if (shown.state !== span.state) return false;
  if (instance.isStepped) return true;
  // A closed circuit without a row, or with a blank one, is the same as any closed one.
  if (shown.state === "closed" && (shown.since === 0 || span.since === 0)) return true;
  return Math.abs(shown.since - span.since) <= ROUNDING_MS;
}

function describe({ instance, operation, key, begin, end, shown }: RecordedCall): string {
  const answer = shown === undefined ? "" : ` = ${shown.state} since ${Math.round(shown.since)}`;
  return `${instance} ${operation}(${key}) at ${begin.toFixed(1)} to ${end.toFixed(1)}${answer}`;
}

/** The spans around a place, for people. */
function around(spans: readonly Span[], place: number): string {
  const shown = spans.slice(Math.max(0, place - 2), place + 4).map(({ state, since, from, to }) =>
    `${state} since ${since} (${from.toFixed(1)} to ${to.toFixed(1)})`
  );
  return `it was ${shown.join(", ")}`;
}
