import { EXIT_CODES, type ExitCode } from "./exit_codes.ts";

/** A mistake on the command line: what is wrong and what to do, without any text that was given. */
export class UsageError extends Error {
  override name: string = "UsageError";

  /** Makes an error. `command` is the one whose help says more. */
  constructor(
    message: string,
    readonly command?: string,
    readonly exitCode: ExitCode = EXIT_CODES.usage,
  ) {
    super(message);
  }

  /** What a command says that must ask before it acts, and cannot. */
  static unconfirmed(command: string): UsageError {
    return new UsageError(
      `Cannot ${command}: it asks before it acts, and there is no terminal, pass --yes`,
      command,
      EXIT_CODES.unconfirmed,
    );
  }
}
