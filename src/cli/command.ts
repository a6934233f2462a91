/** What a command is, and what it works with. */

import type { PostgresCircuitBreakerStore } from "../store.ts";
import type { PostgresClient } from "../types.ts";
import type { ExitCode } from "./exit_codes.ts";
import type { Terminal } from "./terminal.ts";

/** An option of a command. */
export interface OptionSpec {
  /** What its value is called in the help; absent for an option that takes none. */
  readonly value?: string;
  readonly description: string;
}

/** The options of a command line, by their names. An option without a value is `true`. */
export type GivenOptions = Readonly<Record<string, string | true | undefined>>;

/** A command line that was taken apart. */
export interface Given {
  readonly command: Command;
  readonly options: GivenOptions;
  /** The key of a circuit, as it was typed. */
  readonly key: string | undefined;
}

/** What a command works with. */
export interface Context {
  readonly terminal: Terminal;
  readonly given: Given;
  /** The name of the table, as it was typed. */
  readonly table: string;
  /** How long one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether the command line or the environment names a database. */
  readonly hasDatabase: boolean;
  /** Opens the database at the first call. */
  client(): Promise<PostgresClient>;
  /** The same for a client that hears notifications, as far as the server sends them. */
  listeningClient(): Promise<PostgresClient>;
  /** A store on the table, which ends with the command. It refuses nothing and forgets nothing. */
  store(): Promise<PostgresCircuitBreakerStore>;
  /** Writes lines for people to the standard output. */
  print(...lines: string[]): Promise<void>;
  /** Writes a remark for people to the standard error. */
  remark(line: string): Promise<void>;
}

/** A command. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** More for its own help. */
  readonly details?: readonly string[];
  /** Whether it takes the key of a circuit. */
  readonly hasKey?: boolean;
  /** Whether its store should hear of changes at once. */
  readonly isWatching?: boolean;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Command lines without the program's name. */
  readonly examples: readonly string[];
  run(context: Context): Promise<ExitCode>;
}
