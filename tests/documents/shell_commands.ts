/** What the shell blocks of the documents may say: commands that exist, of packages that exist. */

import { parseCommandLine } from "../../src/cli/arguments.ts";
import { COMMANDS } from "../../src/cli/run.ts";
import type { Manifest } from "../../scripts/npm/manifest.ts";

/** The part of deno.json that commands name. */
export type Project = Manifest & { readonly tasks: Readonly<Record<string, string>> };

/** Packages that users install and these tests do not pin under their name. */
const OTHERS: readonly string[] = ["@homegrower-club/stoma"];

/** How the CLI is started. */
const CLI = [
  /^npx @circuit-breaker\/postgres /,
  /^bunx @circuit-breaker\/postgres /,
  /^deno run -A jsr:@circuit-breaker\/postgres\/cli /,
];

/** What is wrong with a line of a shell block; `undefined` where nothing is. */
export function problemOfLine(line: string, project: Project): string | undefined {
  const command = line.replace(/(^|\s)#.*$/, "").replace(/ > [\w.]+$/, "").trim();
  if (command === "") return undefined;
  const cli = CLI.find((start) => start.test(command));
  if (cli !== undefined) return problemOfCli(command.replace(cli, ""));
  const [, task] =
    /^(?:npx -y )?deno task ([\w:]+)( --?[\w-]+(=[\w.]+)?| [\w./]+)*$/.exec(command) ?? [];
  if (task !== undefined) return task in project.tasks ? undefined : `there is no task ${task}`;
  const [, tool, packages] = /^(npm install|bun add|deno add) (.+)$/.exec(command) ?? [];
  if (packages === undefined) return "no test knows this command";
  return packages.split(" ").map((each) => problemOfPackage(each, tool!, project)).find(Boolean);
}

function problemOfCli(command: string): string | undefined {
  const args = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) =>
    quoted ?? plain!
  );
  try {
    parseCommandLine(args, COMMANDS);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function problemOfPackage(
  given: string,
  tool: string,
  { name: own, imports }: Project,
): string | undefined {
  const [, registry, name, version] = /^(npm:|jsr:)?(@?[^@]+)(?:@(.+))?$/.exec(given) ?? [];
  if (name === undefined) return `${given} is no package`;
  if ((registry !== undefined) !== (tool === "deno add")) return `${given} does not fit ${tool}`;
  if (name === own) return registry === "npm:" ? `${name} comes from JSR` : undefined;
  const pinned = imports[name];
  if (pinned === undefined) return OTHERS.includes(name) ? undefined : `no test uses ${name}`;
  if (registry !== undefined && !pinned.startsWith(registry)) return `the tests use ${pinned}`;
  return version === undefined || pinned.endsWith(`@${version}`)
    ? undefined
    : `the tests use ${pinned}`;
}
