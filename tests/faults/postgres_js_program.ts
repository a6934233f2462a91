/**
 * A gateway's part in a test that terminates its connections: records through postgres.js until its
 * input ends, then writes its account. Runs on Deno, Node and Bun.
 */

import process from "node:process";
import postgres from "postgres";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { Instance } from "./instance.ts";

const [, , url, name, driverOptions] = process.argv;
const sql = postgres(url!, {
  max: 4,
  connection: { application_name: name! },
  ...JSON.parse(driverOptions!),
});
const instances = await Promise.all(["_1", "_2", "_3"].map((suffix) =>
  Instance.start({
    url: url!,
    name: name! + suffix,
    onOutage: "throw",
    open: () => ({
      client: fromPostgresJs(sql),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  })
));
for await (const _ of process.stdin);
// The last connections were terminated as well: all go on after that.
await Promise.all(instances.map((instance) => instance.acknowledge(1)));
const accounts = await Promise.all(instances.map((instance) => instance.end()));
await Promise.all(instances.map((instance) => instance[Symbol.asyncDispose]()));
await sql.end({ timeout: 1 });
console.log(JSON.stringify(accounts));
