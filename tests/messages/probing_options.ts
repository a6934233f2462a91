/** The error messages of permits, and of the options by which a store probes, with what provokes them. */

import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import type { Listed } from "./listed.ts";

const memory = new InMemoryCircuitBreakerStore();

function probing(options: Record<string, unknown>): () => unknown {
  return () => new InMemoryCircuitBreakerStore({ resetTimeoutMs: 1000, ...options });
}

export const PROBING_OPTIONS: readonly Listed[] = [
  [
    probing({ successThreshold: 0 }),
    'Cannot create store: "successThreshold" must be a whole number from 1 to 1000, received 0',
  ],
  [
    probing({ resetBackoff: 2 }),
    'Cannot create store: "resetBackoff" must be a plain object, received 2',
  ],
  [
    probing({ resetBackoff: { factor: 0.5 } }),
    'Cannot create store: "resetBackoff.factor" must be a number from 1 to 1000, received 0.5',
  ],
  [
    probing({ resetBackoff: { maxMs: 999 } }),
    'Cannot create store: "resetBackoff.maxMs" must be at least "resetTimeoutMs", received 999',
  ],
  [
    () => new InMemoryCircuitBreakerStore({ rampUpMs: 1000 }),
    'Cannot create store: "rampUpMs" needs "resetTimeoutMs", received undefined',
  ],
  [
    async () => await (await memory.acquire("api")).report("success", { durationMs: -1 }),
    'Cannot report result: "durationMs" must be a number of milliseconds from 0, received -1',
  ],
];
