import { assert, assertEquals, assertRejects } from "@std/assert";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { buildPackage, type Emit, filesIn } from "../../scripts/npm/build.ts";
import { bundle, SHARED } from "../../scripts/npm/bundle.ts";
import { emitWithDnt } from "../../scripts/npm/emit_dnt.ts";
import { emitWithTsc } from "../../scripts/npm/emit_tsc.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";

const REACHABLE = Deno.env.get("JSR_REACHABLE") === "1";

/** What either compiler builds is what is specified, file by file. */
async function assertBuilds(emit: Emit): Promise<void> {
  await using folder = await GuardedFolder.create();
  const target = `${folder.path}/npm`;
  // What lay there before is gone afterwards.
  await Deno.mkdir(`${target}/esm/old`, { recursive: true });
  await Deno.writeTextFile(`${target}/esm/old/module.js`, "");
  const copy = `${folder.path}/copy`;
  const specification = await buildPackage(target, async (assignment) => {
    await emit(assignment);
    await copyModules(target, copy);
  });
  const { files, packageJson } = specification;
  const built = await filesIn(target);
  assertEquals(built.filter((path) => !SHARED.test(path)), files);
  assert(built.some((path) => SHARED.test(path)));
  const read = async (path: string) => JSON.parse(await Deno.readTextFile(`${target}/${path}`));
  assertEquals(await read("package.json"), JSON.parse(JSON.stringify(packageJson)));
  assertEquals(await read("esm/package.json"), { type: "module", sideEffects: false });
  assertEquals(await read("script/package.json"), { type: "commonjs", sideEffects: false });

  // The same from the same modules, in another folder.
  await Deno.copyFile(`${target}/esm/package.json`, `${copy}/esm/package.json`);
  await bundle(copy, specification);
  const scripts = built.filter((path) => path.endsWith(".js"));
  assertEquals((await filesIn(copy)).filter((path) => path.endsWith(".js")), scripts);
  for (const path of scripts) {
    const text = await Deno.readTextFile(`${target}/${path}`);
    assertEquals(text, await Deno.readTextFile(`${copy}/${path}`), path);
    assert(!/^import ?"|[;\n]import ?"/.test(text), `${path} imports a module for nothing`);
  }
  await assertNames(target);
}

async function copyModules(from: string, to: string): Promise<void> {
  for (const path of await filesIn(from)) {
    if (!path.endsWith(".js")) continue;
    await Deno.mkdir(`${to}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(`${from}/${path}`, `${to}/${path}`);
  }
}

/** Classes have their names, and are the same ones for every entry point and for `require`. */
async function assertNames(folder: string): Promise<void> {
  const load = (path: string) => import(pathToFileURL(`${folder}/${path}`).href);
  const main = await load("esm/mod.js");
  for (const [name, each] of Object.entries<{ name: string }>(main)) {
    const isOurs = /^class\b/.test(String(each)) && name !== "PlainEventTarget";
    if (isOurs) assertEquals(each.name, name);
  }
  assert(String(main.CircuitBreaker).startsWith("class"));
  const { circuitErrorResponse } = await load("esm/src/web/hono.js");
  assertEquals(circuitErrorResponse, main.circuitErrorResponse);
  const required = createRequire(pathToFileURL(`${folder}/`))("./script/mod.js");
  assertEquals(required.CircuitBreaker, main.CircuitBreaker);
}

Deno.test("emitWithTsc builds what is specified", () => assertBuilds(emitWithTsc));

Deno.test({
  name: `emitWithDnt builds what is specified${
    REACHABLE ? "" : " (ignored: JSR is not reachable)"
  }`,
  ignore: !REACHABLE,
  // dnt leaves resources open until the process ends.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () => assertBuilds(emitWithDnt),
});

/** Builds with a compiler that leaves its work in another state, and returns the error's message. */
async function refusal(change: (folder: string) => Promise<void>): Promise<string> {
  await using folder = await GuardedFolder.create();
  const emit: Emit = async ({ specification, folder }) => {
    for (const path of specification.compiled) {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, "");
    }
    await change(folder);
  };
  const { message } = await assertRejects(() => buildPackage(`${folder.path}/npm`, emit), Error);
  return message;
}

Deno.test("buildPackage() refuses a compiler that left a module out", async () => {
  assertEquals(
    await refusal((folder) => Deno.remove(`${folder}/script/mod.d.ts`)),
    "Cannot build the package: the compiler left out script/mod.d.ts",
  );
});

Deno.test("buildPackage() refuses a compiler that needs a module of its own", async () => {
  const message = await refusal(async (folder) => {
    await Deno.writeTextFile(`${folder}/esm/mod.js`, 'import "./polyfill.js";');
    await Deno.writeTextFile(`${folder}/esm/polyfill.js`, "");
    await Deno.writeTextFile(`${folder}/esm/unused.js`, "");
  });
  assertEquals(
    message,
    "Cannot build the package: the compiler added modules that the sources do not have, " +
      "received esm/polyfill.js",
  );
});
