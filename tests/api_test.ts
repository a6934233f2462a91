import { assertEquals, assertRejects } from "@std/assert";
import { describeApi } from "../scripts/npm/api.ts";
import { readManifest } from "../scripts/npm/manifest.ts";
import { assertGolden } from "./cli/golden.ts";
import { GuardedFolder } from "./support/guarded_folder.ts";

Deno.test("the exports of every entry point are those in tests/golden/api.txt", async () => {
  await assertGolden("api.txt", await describeApi(await readManifest()));
});

/** Describes entry points that modules with these texts are. */
async function describe(files: Record<string, string>, entries: string[]): Promise<string> {
  await using folder = await GuardedFolder.create();
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder.path}/${name}`, text);
  }
  const exports = Object.fromEntries(entries.map((name) => [`./${name}`, `./${name}.ts`]));
  return await describeApi({ exports }, new URL(`file://${folder.path}/`));
}

const FILES = {
  "a.ts": `/** Not part of it. */
export class A { #secret: number = 1; run(x: number): string { return String(x + this.#secret); } }
const hidden: number = 1;
export const b: number = hidden, c: string = "c";
`,
  "d.ts": `export function d(x: string): string;
export function d(x: number): number;
export function d(x: unknown): unknown { return x; }
export interface E { readonly e?: string }
`,
  "one.ts": `export { A as Renamed, b } from "./a.ts";\nexport * from "./d.ts";\n`,
  "two.ts": `import type { E as F } from "./d.ts";
export type { A } from "./a.ts";
export function use(e: F): void { void e; }
export type { F };
`,
};

Deno.test("describeApi() follows exports to their declarations, and describes each once", async () => {
  assertEquals(
    await describe(FILES, ["one", "two"]),
    `## ./one

type E
  interface E {
      readonly e?: string;
  }

Renamed
  class A {
      #private;
      run(x: number): string;
  }

b
  const b: number, c: string;

d
  function d(x: string): string;
  function d(x: number): number;

## ./two

type A is Renamed of ./one

type F is E of ./one

use
  function use(e: F): void;
`,
  );
});

Deno.test("describeApi() shows a changed signature, and not what is private or prose", async () => {
  const before = await describe(FILES, ["one"]);
  const changed = (from: string, to: string) =>
    describe({ ...FILES, "a.ts": FILES["a.ts"].replace(from, to) }, ["one"]);
  assertEquals(await changed("Not part of it", "Other words"), before);
  assertEquals(await changed("#secret: number = 1", "#secret: number = 2"), before);
  const broken = await changed("run(x: number)", "run(x: number, y: number)");
  assertEquals(broken, before.replace("run(x: number)", "run(x: number, y: number)"));
});

Deno.test("describeApi() refuses exports that it cannot follow", async () => {
  const files = { ...FILES, "bad.ts": 'export * as all from "./a.ts";\n' };
  await assertRejects(() => describe(files, ["bad"]), Error, "Cannot describe the exports of ");
  const missing = { ...FILES, "bad.ts": 'export { nothing } from "./a.ts";\n' };
  await assertRejects(() => describe(missing, ["bad"]), Error, "received export { nothing }");
});
