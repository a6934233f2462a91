/**
 * The middleware of the installed package in the frameworks themselves, on real servers.
 *
 * @module
 */

import process from "node:process";
import { expressTests } from "../web/express_cases.ts";
import { expressEndingTests } from "../web/express_ending_cases.ts";
import { guardTests } from "../web/guard_cases.ts";
import { honoTests } from "../web/hono_cases.ts";
import { type Case, collector, runCases } from "./cases.ts";

const cases: Case[] = [];
const runner = collector(cases);
for (const define of [expressTests, expressEndingTests, guardTests, honoTests]) define(runner);
await runCases(cases);
// Connections that are kept alive would keep the process alive for some seconds.
process.exit();
