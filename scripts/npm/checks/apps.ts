/**
 * Runs the apps of tests/examples with the installed package: two instances of each on one table.
 *
 * @module
 */

import { createDatabase } from "../../../tests/support/database.ts";
import { assertRefusedByStoma, twoInstances } from "../../../tests/support/two_instances.ts";
import { ROOT } from "../../workspace.ts";
import { toJavaScript, toScript } from "../transplant.ts";
import { type Report, resultOf } from "./report.ts";
import type { Runtime } from "./runtimes.ts";

/**
 * The apps, and the runtime of each. Deno's runs from the sources in `deno task test`, and that for
 * Workers among the checks of Workers.
 */
export const APPS: Readonly<Record<string, string>> = {
  express_node: "node",
  hono_node: "node",
  stoma_node: "node",
  bun_serve: "bun",
};

/** Runs the apps of one runtime in a project that has all that they import. */
export async function checkApps(
  report: Report,
  runtime: Runtime,
  project: string,
  database: string,
): Promise<void> {
  const [name] = runtime.name.toLowerCase().split(" ");
  for (const app of Object.keys(APPS).filter((app) => APPS[app] === name)) {
    const source = `${app}.ts`;
    let text = await Deno.readTextFile(new URL(`tests/examples/${source}`, ROOT));
    // Node 20 does not take types away by itself.
    if (name === "node") text = toJavaScript(text, source);
    const file = `${project}/${name === "node" ? toScript(source) : source}`;
    await Deno.writeTextFile(file, text);
    await report.group(`${runtime.name}, two instances of ${source}`, async () => [
      await resultOf("they share circuits, and one probe", async () => {
        await using own = await createDatabase(database);
        const launch = { command: [...runtime.command, file], cwd: project };
        await twoInstances(
          launch,
          own.url,
          app.startsWith("stoma") ? assertRefusedByStoma : undefined,
        );
      }),
    ]);
  }
}
