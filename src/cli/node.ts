/**
 * The parts of Node's modules that the CLI uses. Deno and Bun have the same modules. The types stand here,
 * because projects that compile against this package may not have Node's types.
 */

// @ts-ignore: where the npm package is built, Node's types are not there.
import { createServer as createNodeServer } from "node:http";
// @ts-ignore: likewise.
import { createRequire as createNodeRequire } from "node:module";
// @ts-ignore: likewise.
import { hostname as nodeHostname, userInfo as nodeUserInfo } from "node:os";
// @ts-ignore: likewise.
import { parseArgs as parseNodeArgs } from "node:util";

/** A stream that the process writes to. */
export interface NodeOutput {
  readonly isTTY?: boolean;
  /** How many columns the terminal has. */
  readonly columns?: number;
  write(text: string, done: (error?: Error | null) => void): boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** The stream that the process reads from. */
export interface NodeInput {
  readonly isTTY?: boolean;
  setEncoding(encoding: "utf8"): unknown;
  on(event: "data", listener: (text: string) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
  removeAllListeners(): unknown;
}

/** The process, which every runtime has as a global object. */
export interface NodeProcess {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeInput;
  readonly stdout: NodeOutput;
  readonly stderr: NodeOutput;
  readonly versions: Readonly<Record<string, string | undefined>>;
  cwd(): string;
  exit(code: number): never;
  on(event: string, listener: () => void): unknown;
  removeListener(event: string, listener: () => void): unknown;
}

/** The process that the CLI runs in. */
// dnt-shim-ignore
export const nodeProcess: NodeProcess = (globalThis as unknown as { process: NodeProcess }).process;

/** What `parseArgs` found, in the order of the command line. */
export type ArgumentToken =
  | { kind: "option"; name: string; rawName: string; value?: string; inlineValue?: boolean }
  | { kind: "positional"; value: string }
  | { kind: "option-terminator" };

/** Takes a command line apart. It refuses nothing. */
export function tokensOf(
  args: readonly string[],
  options: Readonly<Record<string, { type: "string" | "boolean"; short?: string }>>,
): ArgumentToken[] {
  const { tokens } = parseNodeArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  return tokens as ArgumentToken[];
}

/**
 * Loads a package as a program in a folder would, or as a module at a `file:` address would.
 *
 * @throws If that program has no such package.
 */
export function requireFrom(place: string, name: string): unknown {
  return createNodeRequire(place)(name);
}

/** Who runs the program, as `user@host`. */
export function userAtHost(): string {
  return `${userName()}@${nodeHostname()}`;
}

function userName(): string {
  try {
    return nodeUserInfo().username;
  } catch {
    // A container can run as a number that has no name.
    return nodeProcess.env.USER ?? "unknown";
  }
}

/** A request to a server. */
export interface NodeRequest extends AsyncIterable<Uint8Array> {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  /** Names and values one after the other. */
  readonly rawHeaders: readonly string[];
}

/** The answer to it. */
export interface NodeResponse {
  writeHead(status: number, headers: Record<string, string>): unknown;
  write(bytes: Uint8Array): boolean;
  end(): unknown;
  destroy(): unknown;
  once(event: "close" | "drain", listener: () => void): unknown;
}

/** A server of HTTP. */
export interface NodeServer {
  listen(port: number, hostname: string): unknown;
  close(): unknown;
  closeAllConnections(): unknown;
  once(event: "listening" | "error" | "close", listener: (error: unknown) => void): unknown;
  address(): { readonly port: number };
}

/** Makes a server that listens nowhere yet. */
export function createServer(
  listener: (request: NodeRequest, response: NodeResponse) => void,
): NodeServer {
  return createNodeServer(listener) as unknown as NodeServer;
}
