/**
 * Contenders in a process of their own. It reads one order per line from its standard input, answers
 * each with one line, and ends with its input, so that it never outlives the benchmark.
 *
 * @module
 */

import { lines } from "../demo/lines.ts";
import { type Contender, type Endpoint, openContender } from "./contenders.ts";
import type { SparseCounts } from "./histogram.ts";
import { Generator, type Load, operate } from "./load.ts";

/** What a worker is asked to do. Every load is opened once, then run in rounds. */
export type Order =
  | { type: "open"; endpoints: Endpoint[] }
  | { type: "warm-up"; contender: string; load: Load; seconds: number }
  | { type: "round"; contender: string; seconds: number };

/** What a worker answers after a warm-up or a round. */
export interface Report {
  operations: number;
  seconds: number;
  clientCpu: number;
  /** Statements sent since the worker started. */
  statements: number;
  /** Latencies of this contender since its last warm-up. */
  latencies: SparseCounts;
}

async function serve(): Promise<void> {
  const contenders = new Map<string, Contender>();
  const generators = new Map<string, Generator>();
  for await (const line of lines(Deno.stdin.readable)) {
    const order = JSON.parse(line) as Order;
    if (order.type === "open") {
      for (const endpoint of order.endpoints) {
        contenders.set(endpoint.name, await openContender(endpoint));
      }
      console.log(JSON.stringify({}));
      continue;
    }
    const contender = contenders.get(order.contender)!;
    if (order.type === "warm-up") {
      const operation = operate(contender.target, order.load);
      generators.set(order.contender, new Generator(operation, order.load.inFlight));
    }
    const generator = generators.get(order.contender)!;
    const round = order.type === "warm-up"
      ? await generator.warmUp(order.seconds)
      : await generator.round(order.seconds);
    const report: Report = {
      ...round,
      statements: contender.statements(),
      latencies: generator.latencies.sparse(),
    };
    console.log(JSON.stringify(report));
  }
  for (const contender of contenders.values()) await contender[Symbol.asyncDispose]();
}

if (import.meta.main) {
  // Ctrl-C reaches every process of the terminal; the benchmark decides when its workers end.
  Deno.addSignalListener("SIGINT", () => {});
  await serve();
  Deno.exit();
}
