import { assertEquals } from "@std/assert";
import {
  CircuitBreakerStoreError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../../src/errors.ts";
import { ErrorReports } from "../../src/outage/error_reports.ts";

/** The clock of `performance.now()` in the hands of a test. */
class MonotonicClock implements Disposable {
  #now = 1000;
  readonly #original = performance.now;

  constructor() {
    performance.now = () => this.#now;
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  [Symbol.dispose](): void {
    performance.now = this.#original;
  }
}

function reportsOf() {
  const errors: Error[] = [];
  return { errors, reports: new ErrorReports((error) => errors.push(error)) };
}

function refused(sqlState: string): CircuitBreakerStoreError {
  return new CircuitBreakerStoreError(`Cannot read circuit: ${sqlState}`, { sqlState });
}

Deno.test("ErrorReports reports an error at once, and then once a minute", () => {
  using clock = new MonotonicClock();
  const { errors, reports } = reportsOf();
  const [first, later, last] = [refused("42501"), refused("42501"), refused("42501")];
  reports.report(first);
  reports.report(refused("42501"));
  clock.pass(59_999);
  reports.report(refused("42501"));
  assertEquals(errors, [first]);
  clock.pass(1);
  reports.report(later);
  reports.report(refused("42501"));
  clock.pass(60_000);
  reports.report(last);
  assertEquals(errors, [first, later, last]);
});

Deno.test("ErrorReports takes another class or SQLSTATE as another kind, and other words as the same", () => {
  using _clock = new MonotonicClock();
  const { errors, reports } = reportsOf();
  const kinds = [
    refused("42501"),
    refused("42P01"),
    new StoreTimeoutError("Cannot read circuit: no answer in 1000 ms"),
    new StoreUnavailableError("Cannot read circuit: connection lost"),
    new StoreUnavailableError("Cannot read circuit: shutting down", { sqlState: "57P01" }),
    new TypeError("broken"),
    new Error("broken"),
  ];
  for (const error of [...kinds, ...kinds]) reports.report(error);
  reports.report(new StoreTimeoutError("Cannot record result: no answer in 1000 ms"));
  assertEquals(errors, kinds);
});

Deno.test("ErrorReports reports what is no error as one", () => {
  const { errors, reports } = reportsOf();
  reports.report("broken");
  assertEquals(errors.map(String), ["Error: broken"]);
});

Deno.test("ErrorReports remembers a bounded number of kinds, and reports each at once", () => {
  using _clock = new MonotonicClock();
  const { errors, reports } = reportsOf();
  const kinds = Array.from({ length: 250 }, (_, i) => refused(`XX${`${i}`.padStart(3, "0")}`));
  for (const error of kinds) reports.report(error);
  assertEquals(errors, kinds);
  reports.report(kinds[0]);
  assertEquals(errors, [...kinds, kinds[0]!]);
});

Deno.test("ErrorReports survives a listener that throws", () => {
  let calls = 0;
  const reports = new ErrorReports(() => {
    calls++;
    throw new Error("listener");
  });
  reports.report(refused("42501"));
  reports.report(refused("42P01"));
  assertEquals(calls, 2);
});

Deno.test("ErrorReports survives a listener whose promise is rejected", async () => {
  let calls = 0;
  // deno-lint-ignore require-await
  const reports = new ErrorReports(async () => {
    calls++;
    throw new Error("listener");
  });
  reports.report(refused("42501"));
  // A rejection that is not handled would end the process by then.
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(calls, 1);
});

Deno.test("ErrorReports.run reports what a listener throws or rejects with", async () => {
  const { errors, reports } = reportsOf();
  const [thrown, rejected] = [new TypeError("thrown"), new RangeError("rejected")];
  reports.run(() => {
    throw thrown;
  });
  // deno-lint-ignore require-await
  reports.run(async () => {
    throw rejected;
  });
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(errors, [thrown, rejected]);
});

Deno.test("ErrorReports without a listener does nothing", () => {
  const reports = new ErrorReports(undefined);
  reports.report(refused("42501"));
  reports.run(() => {
    throw new Error("listener");
  });
});
