/** `watch`: a line for each change, as it happens. */

import type { CircuitChange } from "../../operator_types.ts";
import { textOption } from "../arguments.ts";
import type { Command } from "../command.ts";
import { changeWords } from "../describe_circuit.ts";
import { EXIT_CODES, type ExitCode } from "../exit_codes.ts";
import { colored } from "../terminal.ts";
import { jsonLine, printable, shellQuoted } from "../text.ts";
import { shownTime } from "../times.ts";
import { colorOf } from "./history.ts";

export const WATCH: Command = {
  name: "watch",
  isWatching: true,
  summary: "a line for each change as it happens, until Ctrl-C",
  details: [
    "--json prints one object a line, a change as store.watch() delivers it. Keep its cursor: with",
    "--after a watch that was stopped goes on behind that change, and misses none.",
    "What may have been missed, and outages of the database, are said on the standard error.",
  ],
  options: {
    after: { value: "CURSOR", description: "go on behind the change that has this cursor" },
    rounds: { description: "also rounds of probes, which leave the circuit half-open" },
  },
  examples: ["watch", "watch --json | jq -r .storedKey", "watch --after CURSOR --json"],
  async run(context) {
    const { given, terminal, print, remark } = context;
    const { options } = given;
    const abort = new AbortController();
    let code: ExitCode = EXIT_CODES.done;
    const stop = terminal.onInterrupt((signal) => {
      code = signal;
      abort.abort();
    });
    try {
      const store = await context.store();
      // A watch waits for a database that is out. An operator wants to know.
      await store.check();
      const changes = store.watch({
        signal: abort.signal,
        after: textOption(options, "after"),
        rounds: options.rounds === true,
        onBreak: ({ reason }) => void remark(`Changes may be missing: ${printable(reason)}`),
      });
      if (!options.json) await remark("Watching. Ctrl-C ends it.");
      for await (const change of changes) {
        await print(options.json ? jsonLine(change) : lineOf(change));
      }
    } finally {
      stop();
    }
    return code;

    function lineOf(change: CircuitChange): string {
      const words = `${shownTime(change.at)}  ${shellQuoted(change.storedKey)}  ${
        changeWords(change)
      }`;
      return colored(terminal.out, colorOf(change), words);
    }
  },
};
