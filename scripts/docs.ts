/**
 * `deno task docs [--out=FOLDER]`: writes the API reference of all entry points as HTML pages into
 * `api/`, which git ignores: `index.html` for the main one, `NAME/index.html` for each other.
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readManifest } from "./npm/manifest.ts";
import { ROOT } from "./workspace.ts";

const { name, exports } = await readManifest();
const [arg, ...others] = Deno.args;
const [, out] = /^--out=(.+)$/.exec(arg ?? "--out=api") ?? [];
if (out === undefined || others.length > 0) {
  console.error("Usage: deno task docs [--out=FOLDER]");
  Deno.exit(2);
}
const folder = arg === undefined ? fileURLToPath(new URL(out, ROOT)) : resolve(out);
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--html", `--name=${name}`, `--output=${folder}`, ...Object.values(exports)],
  cwd: fileURLToPath(ROOT),
  stdin: "null",
}).spawn().status;
Deno.exit(code);
