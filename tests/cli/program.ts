/** The CLI as a program of its own, in a pipe or in a terminal. */

import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** The command line of the CLI on Deno. */
export const PROGRAM: readonly string[] = [
  Deno.execPath(),
  "run",
  "--quiet",
  "--allow-all",
  "--no-lock",
  MAIN,
];

/** How a program ended, and what it printed. */
export interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end, its streams in pipes. */
export async function runPiped(
  [program, ...args]: readonly string[],
  env: Record<string, string>,
): Promise<Printed> {
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args,
    env,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Whether `script` of util-linux is here, which makes a pseudo terminal. */
async function findScript(): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command("script", { args: ["--version"] }).output();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether tests can have a pseudo terminal. */
export const hasScript: boolean = await findScript();

/** A test that needs a pseudo terminal. Without one it is ignored, and says so. */
export function terminalTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: hasScript ? name : `${name} (ignored: there is no script of util-linux)`,
    ignore: !hasScript,
    fn,
  });
}

/** What a command in a terminal is given. */
export interface Typed {
  readonly env: Record<string, string>;
  readonly columns: number;
  /** What is typed once the terminal shows a text. */
  readonly answers?: readonly (readonly [shown: string, typed: string])[];
}

/** Runs a command in a pseudo terminal. What it prints comes as one text, with carriage returns taken out. */
export async function runInTerminal(
  command: readonly string[],
  { env, columns, answers = [] }: Typed,
): Promise<{ code: number; text: string }> {
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const child = new Deno.Command("script", {
    args: [
      "--quiet",
      "--return",
      "--command",
      `stty cols ${columns} -echo; ${quoted}`,
      "/dev/null",
    ],
    env: { TERM: "xterm", NO_COLOR: "", FORCE_COLOR: "", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const keyboard = child.stdin.getWriter();
  const waiting = [...answers];
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    text += decoder.decode(bytes, { stream: true }).replaceAll("\r", "");
    while (waiting.length > 0 && text.includes(waiting[0]![0])) {
      await keyboard.write(new TextEncoder().encode(waiting.shift()![1]));
    }
  }
  const { code } = await child.status;
  await keyboard.close().catch(() => {});
  return { code, text };
}
