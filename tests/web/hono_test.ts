import type { TestRunner } from "../conformance/suite.ts";
import { guardTests } from "./guard_cases.ts";
import { honoTests } from "./hono_cases.ts";

const runner: TestRunner = { test: (name, fn) => void Deno.test(`Hono: ${name}`, fn) };
honoTests(runner);
guardTests(runner);
