import { assertEquals } from "@std/assert";
import { answerProblems } from "./answers.ts";
import { callOf, instanceOf, observationsOf, openRow, rowOf, runOf, shownOf } from "./made_up.ts";

/** Open from 100, certainly seen from 110 on; closed from 200, certainly seen from 210 on. */
const rows = [openRow(1, 100), rowOf({ id: 2, at: 200, version: 2, lastStateChange: 200 })];
const observations = observationsOf([110, 2], [210, 3]);

const consistent = instanceOf();
const cached = instanceOf({ boundMs: 50 });

Deno.test("answers: a state of any moment of the call is right", () => {
  const calls = [
    callOf({ begin: 99, shown: shownOf("closed", 0) }),
    callOf({ begin: 105, shown: shownOf("open", 100) }),
    callOf({ begin: 205, shown: shownOf("closed", 200) }),
  ];
  assertEquals(answerProblems(runOf({ instances: [consistent], calls, rows, observations })), []);
});

Deno.test("answers: an older state is found, beyond the bound of the instance", () => {
  const judge = (instance: typeof consistent, begin: number) =>
    answerProblems(runOf({
      instances: [instance],
      calls: [callOf({ begin, shown: shownOf("open", 100) })],
      rows,
      observations,
    })).length;
  assertEquals(judge(consistent, 205), 0);
  assertEquals(judge(consistent, 230), 1);
  assertEquals(judge(cached, 230), 0);
  assertEquals(judge(cached, 270), 1);
});

Deno.test("answers: a forced state that ends while its successor is committed hides nothing", () => {
  const forced = [
    rowOf({ id: 1, at: 100, version: 1, forcedState: "open", forcedAt: 100, forcedUntil: 180 }),
    rowOf({ id: 2, at: 160, version: 2, state: "half-open", lastStateChange: 160 }),
  ];
  const seen = observationsOf([110, 2], [190, 3]);
  const calls = [callOf({ begin: 161, shown: shownOf("half-open", 160) })];
  const run = runOf({ instances: [consistent], calls, rows: forced, observations: seen });
  assertEquals(answerProblems(run), []);
});

Deno.test("answers: a cache may show the end of a forced state that was forced anew meanwhile", () => {
  const forced = [
    rowOf({ id: 1, at: 100, version: 1, forcedState: "open", forcedAt: 100, forcedUntil: 180 }),
    rowOf({ id: 2, at: 170, version: 2, forcedState: "open", forcedAt: 170, forcedUntil: null }),
  ];
  const seen = observationsOf([110, 2], [175, 3]);
  const judge = (instance: typeof consistent, begin: number) =>
    answerProblems(runOf({
      instances: [instance],
      calls: [callOf({ begin, shown: shownOf("closed", 0) })],
      rows: forced,
      observations: seen,
    })).length;
  assertEquals(judge(cached, 190), 0);
  assertEquals(judge(cached, 170), 1, "before the end");
  assertEquals(judge(cached, 240), 1, "beyond the bound");
  assertEquals(judge(consistent, 190), 1);
});

Deno.test("answers: what only the database answers has no bound", () => {
  const calls = [callOf({ begin: 230, operation: "recordFailure", shown: shownOf("open", 100) })];
  const problems = answerProblems(runOf({ instances: [cached], calls, rows, observations }));
  assertEquals(problems.length, 1);
});

Deno.test("answers: a state before its time, and one that never was, are found", () => {
  const early = callOf({ begin: 50, shown: shownOf("open", 100) });
  const never = callOf({ begin: 120, shown: shownOf("half-open", 110) });
  const other = callOf({ begin: 120, shown: shownOf("open", 60) });
  for (const call of [early, never, other]) {
    const run = runOf({ instances: [cached], calls: [call], rows, observations });
    assertEquals(answerProblems(run).length, 1, call.shown!.state);
  }
});

Deno.test("answers: an instance that goes back in what it knew is found, within its bound", () => {
  const calls = [
    callOf({ begin: 212, shown: shownOf("closed", 200) }),
    callOf({ begin: 220, shown: shownOf("open", 100) }),
  ];
  const run = runOf({ instances: [cached], calls, rows, observations });
  assertEquals(answerProblems(run).length, 1);
  // Calls at the same time, and those of different instances, have no order.
  const parallel = [{ ...calls[0]!, end: 225 }, calls[1]!];
  assertEquals(answerProblems({ ...run, calls: parallel }), []);
  const apart = [calls[0]!, { ...calls[1]!, instance: "i1" }];
  const instances = [cached, { ...cached, name: "i1" }];
  assertEquals(answerProblems({ ...run, instances, calls: apart }), []);
});

Deno.test("answers: an instance that does not read what it wrote is found", () => {
  const calls = [
    callOf({ begin: 199, end: 203, operation: "transition", shown: shownOf("closed", 200) }),
    callOf({ begin: 204, shown: shownOf("open", 100) }),
  ];
  assertEquals(
    answerProblems(runOf({ instances: [cached], calls, rows, observations })).length,
    1,
  );
  const reset = [{ ...calls[0]!, operation: "reset" as const, shown: undefined }, calls[1]!];
  assertEquals(
    answerProblems(runOf({ instances: [cached], calls: reset, rows, observations })).length,
    1,
  );
});

Deno.test("answers: who gets no probe sees an open circuit, by `getState` alone", () => {
  const halfOpen = [rowOf({ id: 1, at: 100, state: "half-open", version: 1 })];
  const seen = observationsOf([110, 2]);
  const judge = (operation: "getState" | "peek", halfOpenMax: number | undefined) =>
    answerProblems(runOf({
      instances: [instanceOf({ halfOpenMax })],
      calls: [callOf({ begin: 150, operation, shown: shownOf("open", 7) })],
      rows: halfOpen,
      observations: seen,
    })).length;
  assertEquals(judge("getState", 1), 0);
  assertEquals(judge("getState", undefined), 1);
  assertEquals(judge("peek", 1), 1);
});

Deno.test("answers: of an instance with a stepped clock the state alone counts", () => {
  const run = (isStepped: boolean) =>
    runOf({
      instances: [instanceOf({ isStepped })],
      calls: [callOf({ begin: 150, shown: shownOf("open", 9100) })],
      rows,
      observations,
    });
  assertEquals(answerProblems(run(true)), []);
  assertEquals(answerProblems(run(false)).length, 1);
});

Deno.test("answers: caches notice plain SQL within more bounds, and consistent stores at once", () => {
  const foreign = rows.map((row) => ({ ...row, key: "x0", writer: "foreign" }));
  const judge = (instance: typeof consistent, begin: number) =>
    answerProblems(runOf({
      instances: [instance],
      calls: [callOf({ begin, key: "x0", shown: shownOf("open", 100) })],
      rows: foreign,
      observations,
    })).length;
  assertEquals(judge(cached, 400), 0);
  assertEquals(judge(cached, 800), 1);
  assertEquals(judge(consistent, 230), 1);
});
