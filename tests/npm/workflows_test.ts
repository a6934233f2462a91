import { assert, assertEquals } from "@std/assert";
import { ROOT } from "../../scripts/workspace.ts";
import { unitTests } from "../../scripts/test_unit.ts";

const WORKFLOWS = new URL(".github/workflows/", ROOT);

async function workflows(): Promise<[name: string, text: string][]> {
  const found: [string, string][] = [];
  for await (const { name } of Deno.readDir(WORKFLOWS)) {
    found.push([name, await Deno.readTextFile(new URL(name, WORKFLOWS))]);
  }
  assertEquals(found.map(([name]) => name).toSorted(), ["ci.yml", "publish.yml"]);
  return found;
}

Deno.test("workflows pin every action to a commit, the same one everywhere, and name its version", async () => {
  const pins = new Map<string, string>();
  for (const [name, text] of await workflows()) {
    for (const [line, action, pin] of text.matchAll(/uses: *([^@\s]*)@?(.*)$/gm)) {
      assert(/^[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(pin ?? ""), `${name}: ${line}`);
      assertEquals(pins.get(action!) ?? pin, pin, action);
      pins.set(action!, pin!);
    }
  }
  assert(pins.size > 0);
});

Deno.test("workflows run tasks that there are, and hardly anything else", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const others: string[] = [];
  for (const [, text] of await workflows()) {
    for (const [, command = ""] of text.matchAll(/run: *([^|\n]+)$/gm)) {
      const [, task] = /^deno task (\S+)/.exec(command) ?? [];
      if (task === undefined) others.push(command);
      else assert(task in tasks, command);
    }
  }
  assertEquals(others.toSorted(), [
    "deno publish --no-check --no-npm --no-remote",
    "git config --global core.autocrlf false",
    "npm pack --ignore-scripts",
  ]);
});

Deno.test("unitTests() finds tests that need nothing, and none that need a server or a program", async () => {
  const found = await unitTests();
  for (const path of ["tests/conformance/memory_test.ts", "tests/conformance/pglite_test.ts"]) {
    assert(found.includes(path), path);
  }
  for (const path of ["tests/store_test.ts", "tests/npm/specification_test.ts"]) {
    assert(!found.includes(path), path);
  }
});
