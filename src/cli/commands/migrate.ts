/** `migrate`: creates, upgrades, repairs or takes away the tables. */

import { isOutage } from "../../errors.ts";
import { migrate } from "../../postgres/migrate.ts";
import { storeError } from "../../postgres/store_error.ts";
import { parseTableName } from "../../postgres/identifier.ts";
import { planMigration } from "../../postgres/plan_migration.ts";
import { schemaSql } from "../../postgres/schema.ts";
import { withDeadline } from "../../time/deadlines.ts";
import { textOption } from "../arguments.ts";
import type { Command, Context } from "../command.ts";
import { EXIT_CODES, type ExitCode } from "../exit_codes.ts";
import { jsonLine, printable } from "../text.ts";
import { UsageError } from "../usage_error.ts";

/** A migration waits for locks. */
const DEFAULT_TIMEOUT_MS = 30_000;

export const MIGRATE: Command = {
  name: "migrate",
  summary: "create the tables, or upgrade and repair them; their rows stay",
  details: [
    "It does nothing where everything is in place, and traffic goes on meanwhile. --timeout is 30s by",
    "default. --json prints an object: table, done (migrated, nothing or down), and with --dry-run sql and",
    "planned, an array of the statements that would run first.",
  ],
  options: {
    "dry-run": {
      description:
        "print the SQL for a review and run nothing; what it would do first is a comment",
    },
    down: {
      description: "take the schema away: the table of Stoma's own store stays, the log does not",
    },
    "grant-to": { value: "ROLE", description: "a role that gets what the store needs at run time" },
    yes: { description: "without asking, for --down" },
  },
  examples: [
    "migrate",
    "migrate --grant-to gateway",
    "migrate --dry-run > schema.sql",
    "migrate --down",
  ],
  async run(context) {
    const { options, command } = context.given;
    const grantTo = textOption(options, "grant-to");
    if (options.down && grantTo !== undefined) {
      throw new UsageError(
        "Cannot migrate: --grant-to cannot be given with --down",
        command.name,
      );
    }
    if (options["dry-run"]) return await dryRun(context, grantTo);
    return options.down ? await down(context) : await up(context, grantTo);
  },
};

async function up(context: Context, grantTo: string | undefined): Promise<ExitCode> {
  const client = await context.client();
  const isThere = await isInPlace(context, grantTo);
  await migrate(client, context.table, { timeoutMs: timeoutOf(context), grantTo });
  const { shown } = parseTableName("migrate", context.table);
  await report(context, isThere ? "nothing" : "migrated", [
    isThere ? `Nothing to do: ${shown} is up to date.` : `${shown} is migrated.`,
  ]);
  return EXIT_CODES.done;
}

/** Whether nothing is to be done. Where that cannot be found out, the migration says why. */
async function isInPlace(context: Context, grantTo: string | undefined): Promise<boolean> {
  try {
    const planned = planMigration(await context.client(), context.table, grantTo);
    return (await withDeadline(timeoutOf(context), "migrate", planned)).length === 0;
  } catch (error) {
    if (isOutage(error)) throw error;
    return false;
  }
}

async function down(context: Context): Promise<ExitCode> {
  const { given, terminal, table } = context;
  const name = parseTableName("migrate", table);
  if (!given.options.yes) {
    if (!terminal.isInteractive) throw UsageError.unconfirmed(given.command.name);
    await terminal.err.write(
      `Take the schema of ${name.shown} away: its log, its forced states and everything else that ` +
        "Stoma's own store does not have is lost. Instances that run fail.\n",
    );
    if (!await terminal.confirm("Do it?")) {
      await context.remark("Nothing was done.");
      return EXIT_CODES.unconfirmed;
    }
  }
  const client = await context.client();
  try {
    await withDeadline(
      timeoutOf(context),
      "migrate",
      client.query(schemaSql(table, { down: true })),
    );
  } catch (error) {
    throw storeError(error, name, "migrate");
  }
  await report(context, "down", [`${name.shown} is as Stoma's own store has it.`]);
  return EXIT_CODES.done;
}

async function dryRun(context: Context, grantTo: string | undefined): Promise<ExitCode> {
  const { given, table } = context;
  const isDown = given.options.down === true;
  const sql = schemaSql(table, { grantTo, down: isDown });
  const planned = context.hasDatabase && !isDown
    ? await withDeadline(
      timeoutOf(context),
      "migrate",
      planMigration(await context.client(), table, grantTo),
    )
    : undefined;
  if (given.options.json) {
    await context.print(jsonLine({ table, sql, planned: planned ?? null }));
    return EXIT_CODES.done;
  }
  const remarks = planned === undefined
    ? []
    : planned.length === 0
    ? ["Nothing is to be done in this database."]
    : [
      "What would be done first in this database:",
      ...planned.flatMap((each) => each.split("\n")),
    ];
  await context.print(...remarks.map((line) => `-- ${printable(line)}`), `${sql};`);
  return EXIT_CODES.done;
}

function timeoutOf({ given, timeoutMs }: Context): number {
  return given.options.timeout === undefined ? DEFAULT_TIMEOUT_MS : timeoutMs;
}

async function report(
  { given, table, print }: Context,
  done: string,
  lines: readonly string[],
): Promise<void> {
  await print(...given.options.json ? [jsonLine({ table, done })] : lines);
}
