import { fileURLToPath } from "node:url";
import { openWorkspace, ROOT } from "../../scripts/workspace.ts";
import { createDatabase } from "../support/database.ts";
import { twoInstances } from "../support/two_instances.ts";

Deno.test("Hono on Deno: two instances share circuits, and one probe", async () => {
  await using database = await createDatabase();
  const { flags } = await openWorkspace();
  const app = fileURLToPath(new URL("tests/examples/hono_deno.ts", ROOT));
  const options = [
    "run",
    "--quiet",
    "--check",
    "--allow-net",
    "--allow-env",
    "--no-lock",
    ...flags,
  ];
  await twoInstances({
    command: [Deno.execPath(), ...options, app],
    cwd: fileURLToPath(ROOT),
  }, database.url);
});
