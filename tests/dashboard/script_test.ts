/** The page's script is text in the sources. These tests read it as Deno reads every other module. */

import { assert, assertEquals } from "@std/assert";
import { SCRIPT } from "../../src/dashboard/script.ts";
import { STYLE } from "../../src/dashboard/style.ts";

async function deno(args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return success ? "" : output;
}

async function checked(script: string): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/script.js`, script);
    await Deno.writeTextFile(
      `${folder}/deno.json`,
      JSON.stringify({
        compilerOptions: {
          checkJs: true,
          strict: true,
          noUncheckedIndexedAccess: true,
          lib: ["dom", "dom.iterable", "esnext"],
        },
        lint: { rules: { exclude: ["no-window", "no-explicit-any", "require-await"] } },
      }),
    );
    return [
      await deno(["check", "--no-lock", "script.js"], folder),
      await deno(["lint", "script.js"], folder),
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the page's script is well typed and clean", async () => {
  const [types, lint] = await checked(SCRIPT);
  assertEquals(types, "");
  assertEquals(lint, "");
});

Deno.test("a mistake in the script would be found", async () => {
  const [types, lint] = await checked(`${SCRIPT}\nconst n = byId("main").nothing;\n`);
  assert(types?.includes("nothing"), types);
  assert(lint?.includes("no-unused-vars"), lint);
});

Deno.test("script and style end where they should, and write no HTML", () => {
  assert(!/<\/(?:script|style)/i.test(SCRIPT + STYLE));
  assert(!/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\.style\b/.test(SCRIPT));
  assert(!/url\(|@import/.test(STYLE));
});
