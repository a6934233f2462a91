import { assert, assertEquals } from "@std/assert";
import { parse } from "yaml";
import { METADATA } from "../../scripts/npm/manifest.ts";
import { ROOT } from "../../scripts/workspace.ts";
import { unitTests } from "../../scripts/test_unit.ts";
import { failsByDeno } from "../support/deno_faults.ts";

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
    "deno publish --dry-run",
    "deno publish --no-check --no-npm --no-remote",
    "git config --global core.autocrlf false",
    "npm pack --ignore-scripts",
  ]);
});

Deno.test("CI runs the oldest versions that package.json names, and builds on Node 24", async () => {
  const { engines } = METADATA;
  const { jobs } = parse(await Deno.readTextFile(new URL("ci.yml", WORKFLOWS)));
  const versions = (job: string, field: string) =>
    jobs[job].steps.flatMap((step: { with?: Record<string, string> }) => step.with?.[field] ?? []);
  assertEquals(`>=${versions("oldest", "deno-version")[0].slice(1)}`, `${engines.deno}.0`);
  assertEquals(versions("gate", "deno-version"), ["v2.x"]);
  assertEquals(versions("package", "node-version"), ["24", "${{ matrix.node }}"]);
  assertEquals(jobs.package.strategy.matrix.node, ["20", "22", "24"]);
  assertEquals(engines.node, "^20.19.0 || >=22.12.0");
});

Deno.test("failsByDeno() knows the version that mended what a test meets", () => {
  const name = "circuitErrorHandler() lets an error behind the headers count as a failure";
  for (const version of ["2.8.0", "2.9.5", "2.9.5+abc"]) assert(failsByDeno(name, version));
  for (const version of ["2.9.6", "2.10.0", "3.0.0"]) assert(!failsByDeno(name, version));
  assert(!failsByDeno("another one", "2.8.0"));
});

Deno.test("unitTests() finds tests that need nothing, and none that need a server or a program", async () => {
  const found = await unitTests();
  for (const path of ["tests/conformance/memory_test.ts", "tests/conformance/pglite_test.ts"]) {
    assert(found.includes(path), path);
  }
  for (const path of ["tests/store_test.ts", "tests/npm/build_test.ts"]) {
    assert(!found.includes(path), path);
  }
});
