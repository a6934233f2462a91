import type { TestRunner } from "../conformance/suite.ts";
import { failsByDeno } from "../support/deno_faults.ts";
import { guardTests } from "./guard_cases.ts";
import { honoTests } from "./hono_cases.ts";

const runner: TestRunner = {
  test: (name, fn) => void Deno.test({ name: `Hono: ${name}`, ignore: failsByDeno(name), fn }),
};
honoTests(runner);
guardTests(runner);
