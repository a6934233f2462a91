/** How a command ends. Scripts rely on these numbers, so they do not change. */

/** The exit codes, and what each means for the help. */
export const EXIT_CODES = {
  /** The command did what it says. */
  done: 0,
  /** `doctor` found a problem, or the database refused the command. */
  problem: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The database cannot be reached, does not answer in time, or takes no writes. */
  unavailable: 3,
  /** The operator did not confirm. */
  unconfirmed: 4,
  /** No circuit has the key. */
  notFound: 5,
  /** Ctrl-C ended `watch`. */
  interrupted: 130,
  /** SIGTERM ended `watch`. */
  terminated: 143,
} as const;

/** One of them. */
export type ExitCode = typeof EXIT_CODES[keyof typeof EXIT_CODES];
