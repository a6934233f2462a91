/**
 * Runs the app for Workers of tests/examples with the installed package: two instances in workerd on one
 * table, each with a Hyperdrive of miniflare.
 *
 * @module
 */

import { migrate } from "../../../mod.ts";
import { fromPostgresJs } from "../../../src/adapters/postgres_js.ts";
import { connect, createDatabase } from "../../../tests/support/database.ts";
import { twoInstances } from "../../../tests/support/two_instances.ts";
import { ROOT } from "../../workspace.ts";
import { type Result, resultOf } from "./report.ts";
import { HOST_BEGIN } from "./workerd.ts";

const APP = "tests/examples/workers.ts";

/** Runs the app until SIGTERM, as the other apps run. Hyperdrive wants a password, also where none is asked for. */
const HOST = `${HOST_BEGIN}
const { DATABASE_URL, UPSTREAM_URL, RESET_TIMEOUT_MS, CALL_TIMEOUT_MS } = process.env;
const hyperdrive = new URL(DATABASE_URL);
hyperdrive.password ||= "unused";
const miniflare = new Miniflare({
  ...common,
  scriptPath: "bundle/app.mjs",
  bindings: { UPSTREAM_URL, RESET_TIMEOUT_MS, CALL_TIMEOUT_MS },
  hyperdrives: { HYPERDRIVE: hyperdrive.href },
});
console.log("Listening on " + (await miniflare.ready).href);
isReady = true;
process.removeAllListeners("SIGTERM"); // miniflare's own ends the program with an error
process.once("SIGTERM", async () => {
  await miniflare.dispose();
  process.exit();
});
`;

const BUNDLE = `${HOST_BEGIN}
await bundle("app.ts", "bundle/app.mjs");
`;

/** Runs the scene of the apps in a project that has the package, pg, esbuild and miniflare. */
export async function checkWorkerApp(project: string, databaseUrl: string): Promise<Result> {
  return await resultOf(`two instances of ${APP} share circuits, and one probe`, async () => {
    await Deno.copyFile(new URL(APP, ROOT), `${project}/app.ts`);
    await Deno.writeTextFile(`${project}/app_bundle.mjs`, BUNDLE);
    await Deno.writeTextFile(`${project}/app_host.mjs`, HOST);
    const { success, stderr } = await new Deno.Command("node", {
      args: ["app_bundle.mjs"],
      cwd: project,
      stdin: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    await using own = await createDatabase(databaseUrl);
    {
      await using sql = connect(own.url);
      await migrate(fromPostgresJs(sql));
    }
    await twoInstances({ command: ["node", "app_host.mjs"], cwd: project }, own.url);
  });
}
