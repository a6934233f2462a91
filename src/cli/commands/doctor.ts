/** `doctor`: whether all is well, and what to do where it is not. */

import type { Command, Context } from "../command.ts";
import { counted } from "../describe_circuit.ts";
import { type Examination, examine } from "../doctor/examine.ts";
import { type Check, CHECKS, type Finding } from "../doctor/finding.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { type Color, colored } from "../terminal.ts";
import { jsonLine, printable } from "../text.ts";

export const DOCTOR: Command = {
  name: "doctor",
  summary:
    "find what is wrong with the database, the tables or the fleet; exit code 1 can gate a deploy",
  details: [
    "It changes nothing. A problem keeps circuits from working and makes the exit code 1. A warning does",
    "not, unless --strict is given. Run it as the role of the gateways: privileges and row level security",
    "are those of the role that asks.",
    "--json prints an object: ok, role, version, findings (level, check, message) and skipped checks.",
  ],
  options: { strict: { description: "warnings make the exit code 1 too" } },
  examples: ["doctor", "doctor --strict --json", "doctor && ./deploy.sh"],
  async run(context) {
    const { given, terminal, table, timeoutMs } = context;
    const examination = await examine({
      client: await context.client(),
      listeningClient: await context.listeningClient(),
      table,
      timeoutMs,
      now: () => terminal.now(),
    });
    const { findings } = examination;
    const isOk = !findings.some(({ level }) => level === "problem" || given.options.strict);
    if (given.options.json) {
      const { server, skipped } = examination;
      await context.print(jsonLine({
        ok: isOk,
        role: server.role,
        version: server.settings.server_version,
        findings,
        skipped,
      }));
    } else {
      await context.print(...reportOf(context, examination));
    }
    return isOk ? EXIT_CODES.done : EXIT_CODES.problem;
  },
};

function reportOf({ terminal }: Context, { server, findings, skipped }: Examination): string[] {
  const line = (word: string, color: Color, check: Check, message: string) =>
    `${colored(terminal.out, color, word.padEnd(7))}  ${check.padEnd(13)}  ${message}`.trimEnd();
  const lines = CHECKS.flatMap((check) => {
    const found = findings.filter((each) => each.check === check);
    if (found.length > 0) {
      return found.map(({ level, message }) =>
        line(level, level === "problem" ? "bad" : "warning", check, printable(message))
      );
    }
    if (skipped.includes(check)) {
      return [line("skipped", "faint", check, "because of a problem above")];
    }
    return [line("ok", "good", check, check === "connection" ? connectionWords(server) : "")];
  });
  return [...lines, "", summaryOf(findings)];
}

function connectionWords({ settings, role, isSuperuser }: Examination["server"]): string {
  const remark = isSuperuser
    ? ", a superuser: to see what the gateways may do, run doctor as their role"
    : "";
  return printable(`PostgreSQL ${settings.server_version}, role ${role}${remark}`);
}

function summaryOf(findings: readonly Finding[]): string {
  const count = (level: Finding["level"]) => findings.filter((each) => each.level === level).length;
  return `${counted(count("problem"), "problem")}, ${counted(count("warning"), "warning")}`;
}
