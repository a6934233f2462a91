/**
 * The behaviour that every store shares, whatever it keeps its circuits in. The runner is injected,
 * so the same tests run under Deno, Bun and Node.
 */

import { argumentTests } from "./argument_cases.ts";
import { changeTests } from "./change_cases.ts";
import { countingTests } from "./counting_cases.ts";
import { fleetTests } from "./fleet_cases.ts";
import { forcingTests } from "./forcing_cases.ts";
import { keyTests } from "./key_cases.ts";
import { lifecycleTests } from "./lifecycle_cases.ts";
import { listTests } from "./list_cases.ts";
import { observeTests } from "./observe_cases.ts";
import { optionTests } from "./option_cases.ts";
import { permitTests } from "./permit_cases.ts";
import { probeResultTests } from "./probe_result_cases.ts";
import { probingTests } from "./probing_cases.ts";
import { pruningTests } from "./pruning_cases.ts";
import { readingTests } from "./reading_cases.ts";
import { refusingTests } from "./refusing_cases.ts";
import { type ConformanceBackend, suiteOf, type TestRunner } from "./session.ts";
import { roundTests } from "./round_cases.ts";
import { timeTests } from "./time_cases.ts";
import { transitionTests } from "./transition_cases.ts";
import { trippingTests } from "./tripping_cases.ts";
import { watchTests } from "./watch_cases.ts";
import { windowTests } from "./window_cases.ts";

export type {
  ConformanceBackend,
  ConformanceSession,
  ConformanceStore,
  TestRunner,
} from "./session.ts";

/** Defines every conformance test for one backend. */
export function conformance(runner: TestRunner, backend: ConformanceBackend): void {
  const suite = suiteOf(runner, backend);
  readingTests(suite);
  countingTests(suite);
  transitionTests(suite);
  timeTests(suite);
  listTests(suite);
  argumentTests(suite);
  keyTests(suite);
  lifecycleTests(suite);
  probingTests(suite);
  probeResultTests(suite);
  roundTests(suite);
  permitTests(suite);
  observeTests(suite);
  fleetTests(suite);
  forcingTests(suite);
  refusingTests(suite);
  windowTests(suite);
  trippingTests(suite);
  pruningTests(suite);
  changeTests(suite);
  watchTests(suite);
  optionTests(runner, backend);
}
