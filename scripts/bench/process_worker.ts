/**
 * Contenders in a process of their own.
 *
 * @module
 */

import { type Contender, type Endpoint, openContender } from "./contenders.ts";
import type { SparseCounts } from "./histogram.ts";
import { Generator, type Load, operate } from "./load.ts";
import { answerOrders } from "./worker_process.ts";

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
  await answerOrders<Order>(async (order) => {
    if (order.type === "open") {
      for (const endpoint of order.endpoints) {
        contenders.set(endpoint.name, await openContender(endpoint));
      }
      return;
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
    return report;
  });
  for (const contender of contenders.values()) await contender[Symbol.asyncDispose]();
}

if (import.meta.main) {
  await serve();
  Deno.exit();
}
