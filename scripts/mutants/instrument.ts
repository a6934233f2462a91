/** Copies the package into a folder, with a switch at each place that a mutant changes. */

import { Instrumenter } from "@stryker-mutator/instrumenter";
import { ROOT } from "../workspace.ts";

/** A change of the sources that some test should notice. */
export interface Mutant {
  readonly id: string;
  /** The file, relative to the root. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly kind: string;
  readonly original: string;
  readonly replacement: string;
}

const COPIED: readonly string[] = ["deno.json", "mod.ts", "src", "tests", "scripts"];

const nothing = () => {};
const no = () => false;
const QUIET = {
  ...{ trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing },
  ...{ fatal: nothing, isTraceEnabled: no, isDebugEnabled: no, isInfoEnabled: no },
  ...{ isWarnEnabled: no, isErrorEnabled: no, isFatalEnabled: no },
};

/** Copies the package into `folder`, a URL that ends with a slash, and instruments these sources. */
export async function instrument(folder: URL, sources: readonly string[]): Promise<Mutant[]> {
  for (const path of COPIED) await copy(new URL(path, ROOT), new URL(path, folder));
  const contents = new Map<string, string>();
  for (const path of sources) {
    for (const file of await filesOf(path, (name) => name.endsWith(".ts"))) {
      contents.set(file, await Deno.readTextFile(new URL(file, ROOT)));
    }
  }
  const { files, mutants } = await new Instrumenter(QUIET).instrument(
    [...contents].map(([name, content]) => ({ name, content, mutate: true })),
    { plugins: null, excludedMutations: [], ignorers: [] },
  );
  for (const { name, content } of files) await Deno.writeTextFile(new URL(name, folder), content);
  return mutants.map(({ id, fileName, location: { start, end }, mutatorName, replacement }) => {
    const lines = contents.get(fileName)!.split("\n").slice(start.line, end.line + 1);
    lines[lines.length - 1] = lines.at(-1)!.slice(0, end.column);
    lines[0] = lines[0]!.slice(start.column);
    return {
      ...{ id, file: fileName, line: start.line + 1, column: start.column + 1, kind: mutatorName },
      ...{ original: lines.join("\n"), replacement },
    };
  });
}

/** The files at a path, which is a file or a folder, relative to the root and sorted. */
export async function filesOf(path: string, isMeant: (name: string) => boolean): Promise<string[]> {
  if (!(await Deno.stat(new URL(path, ROOT))).isDirectory) return [path];
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(path, ROOT))) {
    if (isDirectory) found.push(...await filesOf(`${path}/${name}`, isMeant));
    else if (isMeant(name)) found.push(`${path}/${name}`);
  }
  return found.toSorted();
}

async function copy(from: URL, to: URL): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await copy(new URL(name, `${from}/`), new URL(name, `${to}/`));
  }
}
