import type { TestRunner } from "../conformance/suite.ts";
import { failsByDeno } from "../support/deno_faults.ts";
import { expressTests } from "./express_cases.ts";
import { expressEndingTests } from "./express_ending_cases.ts";

const runner: TestRunner = {
  test: (name, fn) => void Deno.test({ name: `Express: ${name}`, ignore: failsByDeno(name), fn }),
};
expressTests(runner);
expressEndingTests(runner);
