/** Runs one command line from its words to its exit code. */

import { isCircuitBreakerStoreError, isOutage, isSchemaError } from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import type { PostgresClient } from "../types.ts";
import { PostgresCircuitBreakerStore } from "../store.ts";
import { VERSION } from "../version.ts";
import {
  durationOption,
  parseCommandLine,
  type Request,
  textOption,
  wordOption,
} from "./arguments.ts";
import type { Command, Context, Given } from "./command.ts";
import { CLOSE, OPEN, RELEASE, RESET } from "./commands/acts.ts";
import { DASHBOARD } from "./commands/dashboard.ts";
import { DOCTOR } from "./commands/doctor.ts";
import { HISTORY } from "./commands/history.ts";
import { LIST } from "./commands/list.ts";
import { INSTANCES } from "./commands/instances.ts";
import { MIGRATE } from "./commands/migrate.ts";
import { PRUNE } from "./commands/prune.ts";
import { SHOW } from "./commands/show.ts";
import { WATCH } from "./commands/watch.ts";
import {
  type Connection,
  DRIVER_NAMES,
  namesDatabase,
  openConnection,
  urlOf,
  waitForEnd,
} from "./connection.ts";
import { EXIT_CODES, type ExitCode } from "./exit_codes.ts";
import { commandHelp, mainHelp, programOf } from "./help.ts";
import { colored, PipeClosedError, type Terminal } from "./terminal.ts";
import { printable } from "./text.ts";
import { UsageError } from "./usage_error.ts";

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  LIST,
  SHOW,
  HISTORY,
  WATCH,
  OPEN,
  CLOSE,
  RELEASE,
  RESET,
  INSTANCES,
  DASHBOARD,
  DOCTOR,
  MIGRATE,
  PRUNE,
];

const DEFAULT_TABLE = "stoma_circuit_breakers";
const DEFAULT_TIMEOUT_MS = 5000;

/** The CLI never shortens the log: how much it keeps is what the instances of the fleet say. */
const KEEP_ALL = { historyMs: 9e12, historyRows: 10_000_000 };

/**
 * Runs a command line, and returns the exit code. It prints what is wrong and does not throw.
 *
 * @param home The address of the module that was started: drivers are looked for beside it too.
 */
export async function run(
  args: readonly string[],
  terminal: Terminal,
  home?: string,
): Promise<ExitCode> {
  let session: Session | undefined;
  try {
    const given = parseCommandLine(args, COMMANDS);
    if ("kind" in given) return await answer(given, terminal);
    session = new Session(given, terminal, home);
    return await given.command.run(session);
  } catch (error) {
    if (error instanceof PipeClosedError) return EXIT_CODES.done;
    return await explain(error, terminal, session);
  } finally {
    await session?.end();
  }
}

async function answer({ kind, command }: Request, { out, runtime }: Terminal): Promise<ExitCode> {
  const place = { runtime, columns: out.columns };
  if (kind === "version") await out.write(`${VERSION}\n`);
  else if (command === undefined) await out.write(mainHelp(COMMANDS, place));
  else await out.write(commandHelp(command, place));
  return EXIT_CODES.done;
}

/** Says what went wrong, and what to do. */
async function explain(
  error: unknown,
  { err, runtime }: Terminal,
  session: Session | undefined,
): Promise<ExitCode> {
  const program = programOf(runtime);
  // A usage error repeats nothing that was given.
  const message = error instanceof UsageError ? error.message : messageOf(error);
  const lines = [colored(err, "bad", session?.withoutSecrets(message) ?? message)];
  let code: ExitCode = EXIT_CODES.problem;
  if (error instanceof UsageError) {
    code = error.exitCode;
    lines.push(
      `"${program} help${error.command === undefined ? "" : ` ${error.command}`}" says more.`,
    );
  } else if (isOutage(error)) {
    code = EXIT_CODES.unavailable;
  } else if (isSchemaError(error)) {
    lines.push(
      `"${program} migrate" creates and upgrades the tables, "doctor" says what is wrong.`,
    );
  } else if (!isCircuitBreakerStoreError(error)) {
    // The library refuses an argument, such as the name of a table.
    const isArgument = error instanceof TypeError || error instanceof RangeError;
    if (isArgument && /^Cannot /.test(error.message)) code = EXIT_CODES.usage;
  }
  try {
    await err.write(`${lines.join("\n")}\n`);
  } catch {
    // Nothing reads it. The exit code remains.
  }
  return code;
}

/** What one command works with: the database is opened when the command first asks for it. */
class Session implements Context {
  readonly terminal: Terminal;
  readonly given: Given;
  readonly table: string;
  readonly timeoutMs: number;
  readonly hasDatabase: boolean;
  readonly #url: string | undefined;
  readonly #home: string | undefined;
  #connection: Promise<Connection> | undefined;
  #store: PostgresCircuitBreakerStore | undefined;

  constructor(given: Given, terminal: Terminal, home: string | undefined) {
    this.given = given;
    this.terminal = terminal;
    this.table = textOption(given.options, "table") ?? DEFAULT_TABLE;
    this.timeoutMs = durationOption(given, "timeout") ?? DEFAULT_TIMEOUT_MS;
    this.#url = urlOf(textOption(given.options, "url"), terminal.env);
    this.#home = home;
    this.hasDatabase = namesDatabase(this.#url, terminal.env);
  }

  async client(): Promise<PostgresClient> {
    return (await this.#connect()).client;
  }

  async listeningClient(): Promise<PostgresClient> {
    return (await this.#connect()).listeningClient;
  }

  async store(): Promise<PostgresCircuitBreakerStore> {
    const client = await (this.given.command.isWatching ? this.listeningClient() : this.client());
    return this.#store ??= new PostgresCircuitBreakerStore(client, this.table, {
      ...KEEP_ALL,
      timeoutMs: this.timeoutMs,
      instanceId: this.terminal.user.slice(0, 200),
      onOutageChange: ({ isOut }) => {
        // Every other command ends with the error.
        if (!this.given.command.isWatching) return;
        void this.remark(
          isOut ? "The database does not answer. Waiting for it." : "The database answers again.",
        );
      },
    });
  }

  print = async (...lines: string[]): Promise<void> => {
    await this.terminal.out.write(`${lines.join("\n")}\n`);
  };

  remark = async (line: string): Promise<void> => {
    try {
      await this.terminal.err.write(`${colored(this.terminal.err, "faint", printable(line))}\n`);
    } catch {
      // Nothing reads remarks.
    }
  };

  /** A text in which the password of the connection string does not stand. */
  withoutSecrets(text: string): string {
    const [, password = ""] = /^[^/]*\/\/[^:@/]*:([^/]*)@/.exec(this.#url ?? "") ?? [];
    let shown = text;
    for (const secret of [password, decoded(password)]) {
      if (secret.length > 3) shown = shown.replaceAll(secret, "***");
    }
    return shown;
  }

  /** Ends the store and the connections. */
  async end(): Promise<void> {
    if (this.#store !== undefined) await waitForEnd(this.#store.close());
    try {
      await (await this.#connection)?.close();
    } catch {
      // It never opened.
    }
  }

  #connect(): Promise<Connection> {
    return this.#connection ??= openConnection({
      url: this.#url,
      driver: wordOption(this.given, "driver", DRIVER_NAMES),
      timeoutMs: this.timeoutMs,
      home: this.#home,
    }, this.terminal);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
