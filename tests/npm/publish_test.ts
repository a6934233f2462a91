import { assert, assertEquals } from "@std/assert";
import { parse } from "yaml";
import { filesIn } from "../../scripts/npm/build.ts";
import { ROOT } from "../../scripts/workspace.ts";
import { GuardedFolder } from "../support/guarded_folder.ts";
import { NAME, NpmRegistry } from "./npm_registry.ts";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly "working-directory"?: string;
}

interface Job {
  readonly needs?: string;
  readonly environment?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: unknown;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const WORKFLOW: Workflow = parse(
  await Deno.readTextFile(new URL(".github/workflows/publish.yml", ROOT)),
);
const { test, jsr, npm } = WORKFLOW.jobs as Record<string, Job>;
const commandsOf = (job: Job) => job.steps.flatMap(({ run }) => run === undefined ? [] : [run]);
const actionsOf = (job: Job) => job.steps.flatMap(({ uses }) => uses ? [uses.split("@")[0]] : []);

Deno.test("only jobs of the protected environment may speak for this repository", () => {
  assertEquals(Object.keys(WORKFLOW.jobs), ["test", "jsr", "npm"]);
  assertEquals(WORKFLOW.on, { push: { tags: ["v*"] } });
  assertEquals(WORKFLOW.permissions, { contents: "read" });
  for (const [name, { permissions, environment, needs }] of Object.entries(WORKFLOW.jobs)) {
    const speaks = permissions?.["id-token"] === "write";
    assertEquals(speaks, name !== "test", name);
    assertEquals(environment, speaks ? "release" : undefined, name);
    assertEquals(needs, speaks ? "test" : undefined, name);
    const rights = Object.entries(permissions ?? {}).filter(([, right]) => right === "write");
    assertEquals(rights.map(([right]) => right), speaks ? ["id-token"] : [], name);
  }
});

Deno.test("what publishes runs no task, and nothing that was developed with", () => {
  assertEquals(actionsOf(jsr!), ["actions/checkout", "denoland/setup-deno"]);
  assertEquals(commandsOf(jsr!), ["deno publish --no-check --no-npm --no-remote"]);
  assertEquals(actionsOf(npm!), ["actions/setup-node", "actions/download-artifact"]);
  const [command = "", ...others] = commandsOf(npm!);
  assertEquals(others, []);
  const programs = command.match(
    /\b(npm (?=view|publish|i)|node |npx|deno|bun|curl|pnpm|yarn)[-\w]+/g,
  );
  assertEquals(programs, ["node -p", "npm view", "node -e", "npm publish", "npm publish"]);
});

Deno.test("npm gets the tarball of the build that was tested and checked", () => {
  const commands = commandsOf(test!);
  assertEquals(commands, [
    "deno task ok",
    "deno task build:npm --emitter=dnt",
    "deno task release:check",
    "deno task test:npm",
    "npm pack --ignore-scripts",
  ]);
  const [pack, upload] = test!.steps.slice(-2);
  assertEquals(pack?.["working-directory"], "npm");
  assertEquals(upload?.with, {
    name: "npm-package",
    path: "npm/*.tgz",
    "if-no-files-found": "error",
  });
  const download = npm!.steps.find(({ uses }) => uses?.includes("download-artifact"));
  assertEquals(download?.with, { name: "npm-package" });
});

Deno.test("deno publish loads nothing but the package, from an empty cache", async () => {
  await using folder = await GuardedFolder.create();
  const [command = ""] = commandsOf(jsr!);
  const [, ...args] = command.split(" ");
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args, "--dry-run", "--allow-dirty"],
    cwd: ROOT,
    env: { DENO_DIR: folder.path, NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const cached = await filesIn(folder.path);
  assertEquals(cached.filter((path) => !/^\w+_cache_v\d+(-\w+)?$/.test(path)), []);
});

/** Runs the step that publishes to npm, as the workflow has it, in a folder with a tarball. */
async function publish(
  registry: NpmRegistry,
  { version = "1.2.3", ref }: { version?: string; ref?: string } = {},
): Promise<{ code: number; output: string; size: number }> {
  await using folder = await GuardedFolder.create();
  const source = `${folder.path}/source`;
  await Deno.mkdir(source);
  await Deno.writeTextFile(`${source}/package.json`, JSON.stringify({ name: NAME, version }));
  await Deno.writeTextFile(`${source}/index.js`, "");
  const host = new URL(registry.url).host;
  await Deno.writeTextFile(`${folder.path}/npmrc`, `//${host}/:_authToken=token\n`);
  const env = {
    GITHUB_REF_NAME: ref ?? `v${version}`,
    npm_config_userconfig: `${folder.path}/npmrc`,
    npm_config_cache: `${folder.path}/cache`,
    npm_config_registry: registry.url,
    npm_config_fetch_retries: "0",
    npm_config_update_notifier: "false",
  };
  const target = `${folder.path}/target`;
  await Deno.mkdir(target);
  const run = (cwd: string, program: string, ...args: string[]) =>
    new Deno.Command(program, { args, cwd, env, stdin: "null" }).output();
  const packed = await run(source, "npm", "pack", "--silent", "--pack-destination", target);
  assert(packed.success, new TextDecoder().decode(packed.stderr));
  const [command = ""] = commandsOf(npm!);
  // What npm records as provenance is there on GitHub only.
  assert(command.includes('npm publish "$tarball" --provenance --access public'), command);
  const script = command.replace("--provenance ", "");
  const done = await run(target, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script);
  const [tarball] = [...Deno.readDirSync(target)];
  const { size } = await Deno.stat(`${target}/${tarball!.name}`);
  const decoder = new TextDecoder();
  return { code: done.code, output: decoder.decode(done.stdout), size };
}

Deno.test("the npm job publishes a version that npm lacks, and skips it when run again", async () => {
  await using registry = new NpmRegistry();
  registry.versions = ["1.2.2"];
  const { code, size } = await publish(registry);
  assertEquals(code, 0);
  assertEquals(registry.published, [{ version: "1.2.3", tag: "latest", bytes: size }]);
  const again = await publish(registry);
  assertEquals(again.code, 0);
  assert(again.output.includes(`::notice::npm has ${NAME}@1.2.3`), again.output);
  assertEquals(registry.published.length, 1);
  // A single version, which npm prints as a text instead of a list.
  registry.versions = ["1.2.3"];
  assertEquals((await publish(registry)).code, 0);
  assertEquals(registry.published.length, 1);
});

Deno.test("the npm job does not make a prerelease the latest version", async () => {
  await using registry = new NpmRegistry();
  registry.versions = ["1.2.2"];
  assertEquals((await publish(registry, { version: "1.2.3-rc.1" })).code, 0);
  assertEquals(registry.published.map(({ tag }) => tag), ["next"]);
});

Deno.test("the npm job says how to publish the first version, and does not fail", async () => {
  await using registry = new NpmRegistry();
  const { code, output } = await publish(registry);
  assertEquals(code, 0);
  assert(output.startsWith(`::warning::npm does not know ${NAME}. `), output);
  assert(output.includes('run "npm publish scope-name-1.2.3.tgz --access public"'), output);
  assertEquals(registry.published, []);
});

Deno.test("the npm job fails for a tag of another version and for a registry that is out", async () => {
  await using registry = new NpmRegistry();
  registry.versions = ["1.2.2"];
  const other = await publish(registry, { ref: "v1.2.4" });
  assertEquals(other.code, 1);
  assertEquals(
    other.output.trim(),
    "::error::The tag is v1.2.4, the tarball has version 1.2.3.",
  );
  registry.status = 503;
  const out = await publish(registry);
  assertEquals(out.code, 1);
  assert(out.output.includes(`::error::npm cannot be asked for ${NAME}`), out.output);
  assertEquals(registry.published, []);
});
