/** Every message of the CLI's own with the command line that provokes it. `DATABASE_URL` is a migrated database. */

/** Words of a command line, the first line of the standard error, and a place other than a migrated database. */
export type ListedLine = readonly [
  args: readonly string[],
  message: string,
  env?: Readonly<Record<string, string>>,
];

export const CLI: readonly ListedLine[] = [
  [[], "Cannot run: no command is given"],
  [["lst"], 'Cannot run: there is no command "lst", did you mean "list"?'],
  [["Frob 1"], "Cannot run: there is no command of that name (a string of 6 characters)"],
  [["list", "--jsn"], 'Cannot run: list has no option "--jsn", did you mean "--json"?'],
  [
    ["show", "-x"],
    'Cannot run: show has no option "-x"; before a key that begins with "-", write --',
  ],
  [["list", "--json=1"], "Cannot run: --json takes no value"],
  [["list", "--state"], "Cannot run: --state needs a value, write --state=STATE"],
  [["list", "x"], "Cannot run: list takes no key"],
  [["show"], "Cannot run: show needs the key of a circuit"],
  [["show", "a", "b"], "Cannot run: show takes one key, received 2 words: put quotes around it"],
  [
    ["list", "--state", "ajar"],
    "Cannot run: --state must be closed or open or half-open, received a string of 4 characters",
  ],
  [
    ["list", "--limit", "0"],
    "Cannot run: --limit must be a whole number from 1 to 100000, received a string of 1 character",
  ],
  [
    ["prune", "--idle", "long"],
    "Cannot run: --idle must be a duration such as 30s, 10m, 24h or 7d, received a string of 4 characters",
  ],
  [
    ["history", "--since", "tomorrow"],
    'Cannot run: --since must be a duration such as 24h, "today", "yesterday" or a time such as ' +
    "2026-01-31T14:00, received a string of 8 characters",
  ],
  [["open", "x"], "Cannot open: --reason is required, the other operators read it"],
  [
    ["reset", "x", "--actor", "", "--yes"],
    "Cannot reset: --actor must have from 1 to 200 characters",
  ],
  [
    ["reset", "x", "--reason", "y".repeat(1001), "--yes"],
    "Cannot reset: --reason must have at most 1000 characters",
  ],
  [["reset", "x"], "Cannot reset: it asks before it acts, and there is no terminal, pass --yes"],
  [
    ["migrate", "--down", "--grant-to", "app"],
    "Cannot migrate: --grant-to cannot be given with --down",
  ],
  [
    ["dashboard", "--port", "http"],
    "Cannot serve dashboard: --port must be a whole number from 0 to 65535, received a string of 4 characters",
  ],
  [
    ["show", "k…"],
    "Cannot find circuit: several circuits fit the shortened key, write the whole key: list --json has it",
  ],
  [
    ["list"],
    "Cannot connect: no database is named, set DATABASE_URL or the variables PGHOST, PGDATABASE and " +
    "PGUSER, or pass --url",
    { DATABASE_URL: "" },
  ],
  [
    ["list", "--url", "localhost/app"],
    "Cannot connect: the connection string must have the form " +
    "postgres://user:password@host:5432/database, with special characters percent-encoded, received a " +
    "string of 13 characters",
  ],
  [
    ["list", "--url", "postgres://127.0.0.1/app?sslmode=disable&target_session_attrs=%"],
    'Cannot connect: the driver "postgres" refuses the connection string or the PG* variables',
  ],
];
