/** What a command reads and writes: two streams, questions, signals and the environment. */

import { EXIT_CODES, type ExitCode } from "./exit_codes.ts";
import { type NodeInput, type NodeOutput, nodeProcess, userAtHost } from "./node.ts";

/** The reader of a stream has gone, as `| head` does. The command ends, and it is no error. */
export class PipeClosedError extends Error {
  override name: string = "PipeClosedError";
}

/** The colours that are used, by what they mean. */
export const COLORS = { bad: 31, good: 32, warning: 33, title: 1, faint: 2 } as const;

/** One of them. */
export type Color = keyof typeof COLORS;

/** A stream that a command writes to. */
export interface Output {
  /** The terminal's width in columns; `undefined` where it is no terminal, and lines have no bound. */
  readonly columns: number | undefined;
  readonly hasColors: boolean;
  /**
   * Writes a text, and resolves when the system has it.
   *
   * @throws {PipeClosedError} If nothing reads it any more.
   */
  write(text: string): Promise<void>;
}

/** Everything that a command knows of the place that it runs in. */
export interface Terminal {
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that the command runs in. */
  readonly folder: string;
  /** The runtime: `node`, `deno` or `bun`. */
  readonly runtime: string;
  /** Who runs it, as `user@host`. */
  readonly user: string;
  /** This machine's clock, in epoch milliseconds. */
  now(): number;
  /** Whether questions can be asked. */
  readonly isInteractive: boolean;
  /** Asks a question that is answered with yes or no. No is what an empty answer means. */
  confirm(question: string): Promise<boolean>;
  /** Calls a function at the first Ctrl-C or SIGTERM, with the exit code of it. Returns how to stop that. */
  onInterrupt(listener: (code: ExitCode) => void): () => void;
}

/** A text in a colour, where the output has colours. */
export function colored(output: Output, color: Color | undefined, text: string): string {
  return output.hasColors && color !== undefined && text !== ""
    ? `\x1b[${COLORS[color]}m${text}\x1b[0m`
    : text;
}

/** The width of a terminal that does not say how wide it is. */
const DEFAULT_COLUMNS = 80;

/** Whether a stream shows colours. `FORCE_COLOR` wins over `NO_COLOR`, as on all runtimes. */
export function hasColors(
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: none, TERM: kind } = env;
  if (forced !== undefined && forced !== "") return forced !== "0" && forced !== "false";
  return isTerminal && (none === undefined || none === "") && kind !== "dumb";
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env, versions } = nodeProcess;
  const err = outputOf(stderr, env);
  return {
    out: outputOf(stdout, env),
    err,
    env,
    folder: nodeProcess.cwd(),
    runtime: versions.deno !== undefined ? "deno" : versions.bun !== undefined ? "bun" : "node",
    user: userAtHost(),
    now: () => Date.now(),
    isInteractive: stdin.isTTY === true && stderr.isTTY === true,
    async confirm(question) {
      await err.write(`${question} [y/N] `);
      return /^\s*y(es)?\s*$/i.test(await lineFrom(stdin));
    },
    onInterrupt,
  };
}

function outputOf(stream: NodeOutput, env: Terminal["env"]): Output {
  let failure: Error | undefined;
  // Without a listener, the error of a closed pipe would end the process.
  stream.on("error", (error) => failure ??= error);
  const isTerminal = stream.isTTY === true;
  return {
    get columns() {
      return isTerminal ? stream.columns || DEFAULT_COLUMNS : undefined;
    },
    hasColors: hasColors(isTerminal, env),
    write: (text) =>
      new Promise((resolve, reject) => {
        const fail = (error: Error) => reject(isPipeClosed(error) ? new PipeClosedError() : error);
        if (failure !== undefined) return fail(failure);
        stream.write(text, (error) => error ? fail(error) : resolve());
      }),
  };
}

function isPipeClosed(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return code === "EPIPE" || code === "ERR_STREAM_DESTROYED" || code === "EOF";
}

/** The first line of a stream; empty where it ends before. */
function lineFrom(stream: NodeInput): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const finish = () => {
      stream.removeAllListeners();
      stream.pause();
      resolve(text.split("\n")[0]!);
    };
    stream.setEncoding("utf8");
    stream.on("data", (piece) => {
      text += piece;
      if (text.includes("\n")) finish();
    });
    stream.on("end", finish);
    stream.resume();
  });
}

const SIGNALS: Readonly<Record<string, ExitCode>> = {
  SIGINT: EXIT_CODES.interrupted,
  SIGTERM: EXIT_CODES.terminated,
};

function onInterrupt(listener: (code: ExitCode) => void): () => void {
  let isInterrupted = false;
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
    const handler = () => {
      // A second one does not wait for an orderly end.
      if (isInterrupted) nodeProcess.exit(code);
      isInterrupted = true;
      listener(code);
    };
    nodeProcess.on(signal, handler);
    return () => nodeProcess.removeListener(signal, handler);
  });
  return () => handlers.forEach((remove) => remove());
}
