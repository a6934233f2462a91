import { assert } from "@std/assert";
import { fileURLToPath } from "node:url";

/** Checks a module in a process of its own, so that `--no-check` cannot skip it. */
async function check(path: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--no-lock", fileURLToPath(import.meta.resolve(path))],
    cwd: fileURLToPath(import.meta.resolve("../..")),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

for (const path of ["./types/hono.ts", "./types/express.ts", "../breaker/types/wrap_fetch.ts"]) {
  Deno.test(`the types in ${path} fit`, () => check(path));
}
