/**
 * Runs the programs of docs/getting-started.md as they stand, with the installed package. Those for Deno are
 * run from the sources, by `deno test --doc`.
 *
 * @module
 */

import { type CodeBlock, codeBlocks } from "../../../tests/documents/code_blocks.ts";
import { createDatabase } from "../../../tests/support/database.ts";
import { startNeonEndpoint } from "../../../tests/support/neon_endpoint.ts";
import { ROOT } from "../../workspace.ts";
import type { Ground } from "./projects.ts";
import { ensure, type Result, resultOf } from "./report.ts";
import type { Runtime } from "./runtimes.ts";

const PAGE = "docs/getting-started.md";

/** The program that the page says runs on every runtime as it stands. */
const EVERYWHERE = "Node and node-postgres";

/** Has the driver of Neon use the endpoint of the tests: its own address is on the Internet. */
const NEON = `import { neonConfig } from "@neondatabase/serverless";
neonConfig.fetchEndpoint = () => process.env.NEON_ENDPOINT;
`;

/** The programs that are not run from the sources, each under its heading "Runtime and driver". */
export async function gettingStarted(): Promise<CodeBlock[]> {
  const page = await Deno.readTextFile(new URL(PAGE, ROOT));
  return codeBlocks(PAGE, page).filter(({ info }) => info === "ts ignore");
}

/** Runs the programs for one runtime in a project that has the drivers. */
export async function checkGettingStarted(
  { queue, database: admin }: Ground,
  { name, command }: Runtime,
  project: string,
): Promise<Result[]> {
  const [runtime] = name.split(" ");
  const programs = (await gettingStarted()).filter(({ heading }) =>
    heading.startsWith(`${runtime} and `) || heading === EVERYWHERE
  );
  ensure(programs.some(({ heading }) => heading === EVERYWHERE), `${PAGE} lacks ${EVERYWHERE}`);
  await using neon = startNeonEndpoint();
  const [address] = neon.wsProxy("", 0).split("/");
  await Deno.writeTextFile(`${project}/neon_endpoint.mjs`, NEON);
  const results: Result[] = [];
  for (const [index, { heading, text }] of programs.entries()) {
    results.push(
      await resultOf(heading, async () => {
        await using database = await createDatabase(admin);
        const file = `started_${index}.${runtime === "Bun" ? "ts" : "mjs"}`;
        await Deno.writeTextFile(`${project}/${file}`, text);
        const preload = heading.endsWith("Neon") ? ["--import", "./neon_endpoint.mjs"] : [];
        const printed = await queue.runOk([...command, ...preload, file], project, {
          DATABASE_URL: database.url,
          NEON_ENDPOINT: `http://${address}/sql`,
        });
        ensure(printed.trim() === "paid", `received ${printed}`);
      }),
    );
  }
  return results;
}
