/**
 * The conformance suite against the installed package. Arguments: a driver and a database. It ends by
 * itself, which shows that neither the store nor an adapter keeps a process alive.
 *
 * @module
 */

import process from "node:process";
import { sqlBackend } from "../conformance/sql_backend.ts";
import { conformance } from "../conformance/suite.ts";
import { type Case, collector, runCases } from "./cases.ts";
import { DRIVERS } from "./drivers.ts";

const [name = "", url = ""] = process.argv.slice(2);
const cases: Case[] = [];
const driver = await DRIVERS[name]!(url);
conformance(collector(cases), sqlBackend(name, driver.client));
await runCases(cases);
await driver.close();
