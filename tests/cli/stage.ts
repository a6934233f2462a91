/** What the tests of the CLI share: a terminal that keeps what is written to it, and a migrated database. */

import { run } from "../../src/cli/run.ts";
import type { ExitCode } from "../../src/cli/exit_codes.ts";
import type { Output, Terminal } from "../../src/cli/terminal.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { PostgresCircuitBreakerStore } from "../../src/store.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../src/options/store_options.ts";
import type { PostgresClient } from "../../src/types.ts";
import { openPostgresJs } from "../support/clients.ts";
import { createDatabase } from "../support/database.ts";

/** How a command is run. */
export interface Setting {
  readonly env?: Readonly<Record<string, string>>;
  /** The width of the terminal; without it, the command writes to pipes. */
  readonly columns?: number;
  readonly hasColors?: boolean;
  /** What is answered to a question; without it, none can be asked. */
  readonly answer?: boolean;
  /** Called before a question is answered. */
  readonly onQuestion?: () => void;
  /** This machine's clock. */
  readonly now?: () => number;
  /** Called with everything that is written to the standard output. */
  readonly onOut?: (text: string) => void;
  /** Called with everything that is written to the standard error. */
  readonly onErr?: (text: string) => void;
  /** Called with the function that interrupts the command. */
  readonly onInterruptible?: (interrupt: (code: ExitCode) => void) => void;
}

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. */
export async function runCommand(args: readonly string[], setting: Setting = {}): Promise<Ended> {
  const written = { out: "", err: "" };
  const output = (name: "out" | "err"): Output => ({
    columns: setting.columns,
    hasColors: setting.hasColors ?? false,
    write(text) {
      written[name] += text;
      if (name === "out") setting.onOut?.(text);
      else setting.onErr?.(text);
      return Promise.resolve();
    },
  });
  const terminal: Terminal = {
    out: output("out"),
    err: output("err"),
    env: setting.env ?? {},
    folder: "/nowhere",
    runtime: "deno",
    user: "operator@host",
    now: setting.now ?? (() => Date.now()),
    isInteractive: setting.answer !== undefined,
    confirm(question) {
      written.err += `${question} [y/N] `;
      setting.onQuestion?.();
      return Promise.resolve(setting.answer === true);
    },
    onInterrupt(listener) {
      setting.onInterruptible?.(listener);
      return () => {};
    },
  };
  const code = await run(args, terminal);
  return { code, ...written };
}

/** A migrated database with a store of a gateway. */
export interface Stage extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  readonly client: PostgresClient;
  /** The store of a gateway that is called `gateway-1`. */
  readonly store: PostgresCircuitBreakerStore;
  /** Another store on the same table. */
  open(options: PostgresCircuitBreakerStoreOptions): PostgresCircuitBreakerStore;
  /** Runs a command on this database. */
  cli(args: readonly string[], setting?: Setting): Promise<Ended>;
}

/** Opens a stage. */
export async function openStage(
  options: PostgresCircuitBreakerStoreOptions = {},
): Promise<Stage> {
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(await createDatabase());
  const { client } = cleanup.use(await openPostgresJs(database.url, { max: 3 }));
  await migrate(client);
  const store = cleanup.use(
    new PostgresCircuitBreakerStore(client, undefined, { instanceId: "gateway-1", ...options }),
  );
  const kept = cleanup.move();
  return {
    url: database.url,
    name: database.name,
    client,
    store,
    open: (more) => kept.use(new PostgresCircuitBreakerStore(client, undefined, more)),
    cli: (args, setting = {}) =>
      runCommand(args, { ...setting, env: { DATABASE_URL: database.url, ...setting.env } }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A text with what differs from run to run replaced: times, durations, and the gaps whose width they decide. */
export function steady(text: string): string {
  return text
    .replace(/\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}/g, "2026-01-31 14:03:12")
    .replace(
      /(?<![\w[\\])(\d+(ms|[smh])\b ?)+/g,
      (duration) => duration.endsWith(" ") ? "9m 59s " : "9m 59s",
    )
    .replace(/(?<=\S) {2,}/g, "  ");
}
