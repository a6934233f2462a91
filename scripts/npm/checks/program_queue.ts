/**
 * Runs programs one after the other in a temporary folder that vanishes with this process.
 *
 * @module
 */

import { GuardedFolder } from "../../../tests/support/guarded_folder.ts";

const ENDS_WITHIN_MS = 120_000;

/** How a program ended. */
export interface Outcome {
  readonly success: boolean;
  readonly stdout: string;
  /** Both streams, for a message. */
  readonly output: string;
}

/** A temporary folder with projects in it. Queues can work at the same time. */
export class ProgramQueue implements AsyncDisposable {
  readonly #folder: GuardedFolder;

  private constructor(folder: GuardedFolder) {
    this.#folder = folder;
  }

  /** Makes the folder. */
  static async open(): Promise<ProgramQueue> {
    return new ProgramQueue(await GuardedFolder.create());
  }

  /** The folder's path. */
  get path(): string {
    return this.#folder.path;
  }

  /** Runs a program in one of the folders to its end. One that does not end is killed. */
  async run(
    [program, ...args]: readonly string[],
    cwd: string,
    env: Record<string, string> = {},
  ): Promise<Outcome> {
    const child = await this.#folder.spawn(program!, {
      args,
      cwd,
      env: { NO_COLOR: "1", npm_config_update_notifier: "false", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      Deno.kill(-child.pid, "SIGKILL");
    }, ENDS_WITHIN_MS);
    const { success, stdout, stderr } = await child.output();
    clearTimeout(timer);
    await this.#folder.forget();
    const decoder = new TextDecoder();
    const out = decoder.decode(stdout);
    const late = isLate ? `\nIt did not end within ${ENDS_WITHIN_MS / 1000} s.` : "";
    return { success, stdout: out, output: out + decoder.decode(stderr) + late };
  }

  /** Runs a program that has to succeed, and returns what it prints. */
  async runOk(
    command: readonly string[],
    cwd: string,
    env: Record<string, string> = {},
  ): Promise<string> {
    const { success, stdout, output } = await this.run(command, cwd, env);
    if (!success) throw new Error(`"${command.join(" ")}" failed, received ${output.trim()}`);
    return stdout;
  }

  /** Makes a project and installs packages into it. */
  async project(name: string, packages: readonly string[]): Promise<string> {
    const folder = `${this.path}/${name}`;
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/package.json`, '{ "private": true }\n');
    await this.runOk([
      ...npm("install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"),
      ...packages,
    ], folder);
    return folder;
  }

  /** Removes the folder. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#folder.end();
  }
}

/** The command line of npm. */
export function npm(...args: readonly string[]): string[] {
  return ["npm", ...args];
}
