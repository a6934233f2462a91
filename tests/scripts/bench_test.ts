import { assert, assertEquals, assertThrows } from "@std/assert";
import { bench } from "../../scripts/bench.ts";
import { atMost, BARS, check } from "../../scripts/bench/bars.ts";
import { choose, EVERYTHING } from "../../scripts/bench/choice.ts";
import { EXPERIMENTS } from "../../scripts/bench/experiments.ts";
import { measure, type Result, type Subject } from "../../scripts/bench/measure.ts";
import { parseOptions } from "../../scripts/bench/options.ts";
import { Histogram } from "../../scripts/bench/histogram.ts";
import { breathing, Generator } from "../../scripts/bench/load.ts";
import { SCENARIOS, select } from "../../scripts/bench/scenarios.ts";

function namesOf(...only: string[]): string[] {
  return select(SCENARIOS, only).map(({ name }) => name);
}

Deno.test("bench runs every kind of load on real servers and reports what it found", async () => {
  const options = parseOptions([
    "--only=both-100-64,processes,gateway-64",
    "--contenders=memory,stale,ours,original,gathered",
    "--seconds=0.05",
    "--rounds=1",
  ])!;
  const lines: string[] = [];
  const report = await bench(options, (line) => lines.push(line));

  const labels = report.measurements.map(({ results }) => results.map(({ label }) => label));
  assertEquals(labels, [
    ["memory", "ours", "original", "gathered"],
    ["ours", "original"],
    ["memory", "stale", "ours", "original", "gathered"],
  ]);
  for (const { results } of report.measurements) {
    for (const result of results) {
      assert(result.rate > 0 && result.p50 <= result.p99 && result.p99 <= result.p999);
      assertEquals(result.lost, 0, `${result.label} lost successes`);
      assertEquals(result.tableBytes! > 0, result.contender !== "memory");
    }
  }
  const [both, processes] = report.measurements.map(({ results }) =>
    results.find(({ label }) => label === "ours")!
  );
  assert(both!.statementsPerCall > 0 && both!.statementsPerCall <= 1);
  assert(processes!.statementsPerCall > 0 && processes!.statementsPerCall <= 1);
  const stale = report.measurements[2]!.results.find(({ label }) => label === "stale")!;
  assert(stale.statementsPerCall < 0.1 && stale.p99s.every((p99) => p99 > 0));
  assertEquals(report.verdicts.length, 7); // without the one that needs Redis
  assertEquals(lines.filter((line) => line.startsWith("bar: ")).length, 7);
});

Deno.test("measure gives every subject the same number of rounds, in a changing order", async () => {
  const measured: string[] = [];
  const subject = (label: string): Subject => ({
    label,
    contender: "memory",
    latencies: new Histogram(),
    statements: () => 0,
    serverCpu: () => Promise.resolve(0),
    warmUp: (seconds) => Promise.resolve({ operations: 1, seconds, clientCpu: 0 }),
    round: (seconds) => {
      measured.push(label);
      return Promise.resolve({ operations: 2, seconds, clientCpu: 0 });
    },
    leftovers: (operations) => Promise.resolve({ lost: operations }),
  });
  const pace = { rounds: 4, secondsPerRound: 0.5, warmUpSeconds: 0.1 };
  const results = await measure(["a", "b", "c"].map(subject), 1, pace);
  assertEquals(measured.join(""), "abc" + "cba" + "bca" + "acb");
  assertEquals(results.map(({ rates, operations, lost }) => [rates, operations, lost]), [
    [[4, 4, 4, 4], 8, 9],
    [[4, 4, 4, 4], 8, 9],
    [[4, 4, 4, 4], 8, 9],
  ]);
});

Deno.test("Generator keeps exactly the given number of operations in flight", async () => {
  let inFlight = 0;
  let most = 0;
  const generator = new Generator(async () => {
    most = Math.max(most, ++inFlight);
    await new Promise((resolve) => setTimeout(resolve));
    inFlight--;
  }, 7);
  const { operations, seconds } = await generator.round(0.02);
  assertEquals([most, inFlight], [7, 0]);
  assert(operations >= 7 && seconds >= 0.02);
  assertEquals(generator.latencies.total, operations);
});

Deno.test("breathing lets timers run while everything is answered from memory", async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await new Generator(breathing(() => Promise.resolve()), 7).round(0.1);
  clearInterval(timer);
  assert(ticks > 2);
});

Deno.test("check compares round by round and takes the median", () => {
  const result = (label: string, rates: number[]) => ({ label, rates }) as Result;
  const scenario = { name: "record-1-64", title: "load" };
  const original = result("original", [1, 2, 1]);
  const [met] = check(scenario, [result("ours", [40, 200, 1]), original]);
  assertEquals(met, {
    what: "load: ours / original",
    measured: 40,
    shown: "40x (half of the rounds 20.5x to 70x)",
    required: "at least 40x",
    ok: true,
  });
  const [missed] = check(scenario, [result("ours", [39, 200, 1]), original]);
  assertEquals([missed?.measured, missed?.ok], [39, false]);
  assertEquals(check(scenario, [original]), []);
});

Deno.test("check holds latencies to a bar of their own", () => {
  const result = (label: string, p99s: number[]) => ({ label, p99s, rates: [1, 1, 1] }) as Result;
  const scenario = { name: "gateway-64", title: "load" };
  const memory = result("memory", [10, 10, 20]);
  const [throughput, latency] = check(scenario, [result("stale", [12, 9, 90]), memory]);
  assertEquals([throughput?.measured, throughput?.ok], [1, true]);
  assertEquals(latency, {
    what: "load: p99 of stale / memory",
    measured: 1.2,
    shown: "1.20x (half of the rounds 1.05x to 2.85x)",
    required: "at most 1.20x",
    ok: true,
  });
  const [, missed] = check(scenario, [result("stale", [13, 13, 90]), memory]);
  assertEquals([missed?.measured, missed?.ok], [1.3, false]);
});

Deno.test("check compares a gateway and many circuits with bare gathering, and not with memory", () => {
  const result = (label: string, rate: number) => ({ label, rates: [rate, rate, rate] }) as Result;
  const verdicts = (name: string, rate: number) =>
    check({ name, title: "load" }, [
      result("ours", rate),
      result("gathered", 100),
      result("memory", 10_000),
    ]).map(({ what, ok }) => [what, ok]);
  for (
    const [name, least] of [
      ["gateway-64", 85],
      ["gateway-256", 85],
      ["both-100-64", 75],
      ["both-10000-64", 75],
    ] as const
  ) {
    assertEquals(verdicts(name, least), [["load: ours / gathered", true]], name);
    assertEquals(verdicts(name, least - 1), [["load: ours / gathered", false]], name);
  }
});

Deno.test("atMost misses a figure that could not be taken", () => {
  const shown = (count: number) => `${count} statements`;
  assertEquals(atMost("load", 1.2, 1.2, shown), {
    what: "load",
    measured: 1.2,
    shown: "1.2 statements",
    required: "at most 1.2 statements",
    ok: true,
  });
  assertEquals(atMost("load", 1.3, 1.2, shown).ok, false);
  assertEquals(atMost("load", NaN, 1.2, shown).ok, false);
});

Deno.test("every bar is on a load that exists, and its name selects it", () => {
  for (const { scenario } of BARS) assertEquals(namesOf(scenario), [scenario]);
  assertEquals(namesOf("gateway", "record-1"), [
    "record-1-1",
    "record-1-64",
    "record-1-512",
    "gateway-1",
    "gateway-64",
    "gateway-256",
  ]);
  assertEquals(namesOf().length, SCENARIOS.length);
  assertThrows(() => namesOf("record-1-6"), RangeError, "received record-1-6");
});

Deno.test("choose takes an experiment that takes long only in a full run or by its name", () => {
  const chosen = (...args: string[]) => choose(parseOptions(args)!).map(({ name }) => name);
  const experiments = EXPERIMENTS.map(({ name }) => name);
  assertEquals(chosen().slice(-experiments.length), experiments);
  assertEquals(chosen().length, EVERYTHING.length);
  const quick = EXPERIMENTS.filter(({ isQuick }) => isQuick).map(({ name }) => name);
  assertEquals(chosen("--quick").filter((name) => experiments.includes(name)), quick);
  const stale = experiments.filter((name) => name.startsWith("stale-"));
  assertEquals(chosen("--quick", "--only=stale"), stale);
  assertEquals(chosen("--quick", "--only=fleet"), [
    "fleet-1000",
    "fleet-often",
    "fleet-growth",
    "fleet-circuits",
  ]);
  assertEquals(chosen("--only=stale", "--contenders=ours,memory"), []);
});

Deno.test("parseOptions refuses what the benchmark cannot do", () => {
  assertEquals(parseOptions(["--help"]), undefined);
  assertThrows(() => parseOptions(["--seconds=0"]), RangeError, "received 0");
  assertThrows(() => parseOptions(["--rounds=many"]), RangeError, "received many");
  assertThrows(() => parseOptions(["--contenders=ours,mine"]), RangeError, "received mine");
  assertThrows(() => parseOptions(["--fast"]), TypeError);
});
