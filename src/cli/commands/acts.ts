/** `open`, `close`, `release` and `reset`: what changes traffic. Each says what it will do and asks first. */

import { isOutage } from "../../errors.ts";
import type { CircuitListing } from "../../listing_types.ts";
import { durationOption, textOption } from "../arguments.ts";
import { findCircuit, type FoundCircuit, listingOf } from "../circuits.ts";
import type { Command, Context, OptionSpec } from "../command.ts";
import { endWords, nextOf, stateWords } from "../describe_circuit.ts";
import { EXIT_CODES, type ExitCode } from "../exit_codes.ts";
import { jsonLine, printable, shellQuoted } from "../text.ts";
import { UsageError } from "../usage_error.ts";

/** The longest actor and reason that the store takes. */
const MAX_ACTOR = 200;
const MAX_REASON = 1000;

const ACT_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  actor: { value: "NAME", description: "who does it, default user@host" },
  yes: { description: "without asking; needed where there is no terminal" },
};

const FORCE_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  reason: { value: "TEXT", description: "why, for the other operators; required" },
  for: { value: "TIME", description: "how long, such as 10m; default until release" },
  ...ACT_OPTIONS,
};

const OPTIONAL_REASON: Readonly<Record<string, OptionSpec>> = {
  reason: { value: "TEXT", description: "why, for the other operators" },
  ...ACT_OPTIONS,
};

const DETAILS: readonly string[] = [
  "It asks before it does anything. --json prints the circuit afterwards, as store.list() returns it,",
  "or null where nothing is kept of it.",
];

export const OPEN: Command = {
  name: "open",
  hasKey: true,
  summary: "take an upstream out of service: every instance refuses, whatever probes say",
  details: DETAILS,
  options: FORCE_OPTIONS,
  examples: [
    'open payments --reason "provider maintenance" --for 30m',
    'open payments --reason "INC-1234" --yes',
  ],
  run: (context) => force(context, "open"),
};

export const CLOSE: Command = {
  name: "close",
  hasKey: true,
  summary: "let all requests through, whatever fails",
  details: DETAILS,
  options: FORCE_OPTIONS,
  examples: ['close payments --reason "the provider is well, false alarm" --for 10m'],
  run: (context) => force(context, "closed"),
};

export const RELEASE: Command = {
  name: "release",
  hasKey: true,
  summary: "end a forced state: the circuit goes on as it was before",
  details: DETAILS,
  options: OPTIONAL_REASON,
  examples: ['release payments --reason "maintenance is over"'],
  async run(context) {
    const circuit = await find(context);
    const { listing } = circuit;
    if (listing?.forced === undefined) {
      await context.remark(`Nothing to release: no operator forces ${nameOf(circuit)}.`);
      return await report(context, circuit);
    }
    const { state, reason, by } = listing.forced;
    return await act(context, circuit, {
      plan:
        `End the forced state of ${nameOf(circuit)} (${state}${
          by === undefined ? "" : ` by ${by}`
        }` +
        `${
          reason === undefined ? "" : `: "${reason}"`
        }). It goes on in the state that it had before.`,
      run: async (said) => await (await context.store()).release(circuit.key, said),
    });
  },
};

export const RESET: Command = {
  name: "reset",
  hasKey: true,
  summary: "forget a circuit: closed, no failures, no forced state; its history stays",
  details: DETAILS,
  options: OPTIONAL_REASON,
  examples: ["reset payments", 'reset payments --reason "the load test is over" --yes'],
  async run(context) {
    const circuit = await find(context);
    return await act(context, circuit, {
      plan:
        `Forget ${
          nameOf(circuit)
        } for every instance: it is closed then, with no failures and no ` +
        "forced state, and all requests go through.",
      run: async (said) => await (await context.store()).reset(circuit.key, said),
    });
  },
};

/** What an operator says of an act. */
interface Said {
  readonly actor: string;
  readonly reason: string | undefined;
}

/** What will happen, in words, and how it happens. */
interface Act {
  readonly plan: string;
  run(said: Said): Promise<unknown>;
}

async function force(context: Context, state: "open" | "closed"): Promise<ExitCode> {
  const { given } = context;
  if (!textOption(given.options, "reason")?.trim()) {
    throw new UsageError(
      `Cannot ${given.command.name}: --reason is required, the other operators read it`,
      given.command.name,
    );
  }
  const forMs = durationOption(given, "for");
  const circuit = await find(context);
  const how = state === "open"
    ? "refuses every request"
    : "lets every request through, whatever fails";
  const now = Date.now();
  return await act(context, circuit, {
    plan: `Force ${nameOf(circuit)} ${state}: every instance ${how}, ${
      endWords(forMs === undefined ? undefined : now + forMs, now)
    }.`,
    async run(said) {
      const store = await context.store();
      const options = { ...said, forMs };
      await (state === "open"
        ? store.forceOpen(circuit.key, options)
        : store.forceClosed(circuit.key, options));
    },
  });
}

async function find(context: Context): Promise<FoundCircuit> {
  saidOf(context);
  return await findCircuit(await context.store(), context.given.key!);
}

function nameOf({ key }: FoundCircuit): string {
  return shellQuoted(key.storedKey);
}

/** The actor and the reason. */
function saidOf({ given, terminal }: Context): Said {
  const { options, command } = given;
  const actor = textOption(options, "actor");
  const reason = textOption(options, "reason");
  if (actor?.trim() === "" || (actor?.length ?? 0) > MAX_ACTOR) {
    throw new UsageError(
      `Cannot ${command.name}: --actor must have from 1 to ${MAX_ACTOR} characters`,
      command.name,
    );
  }
  if ((reason?.length ?? 0) > MAX_REASON) {
    throw new UsageError(
      `Cannot ${command.name}: --reason must have at most ${MAX_REASON} characters`,
      command.name,
    );
  }
  return { actor: actor ?? terminal.user.slice(0, MAX_ACTOR), reason };
}

async function act(context: Context, circuit: FoundCircuit, { plan, run }: Act): Promise<ExitCode> {
  const { given, terminal } = context;
  const said = saidOf(context);
  const now = nowWords(circuit.listing);
  const lines = [printable(plan), `Now: ${now}`];
  if (!given.options.yes) {
    if (!terminal.isInteractive) {
      throw UsageError.unconfirmed(given.command.name);
    }
    await terminal.err.write(`${lines.join("\n")}\n`);
    if (!await terminal.confirm("Do it?")) {
      await context.remark("Nothing was done.");
      return EXIT_CODES.unconfirmed;
    }
  } else if (circuit.listing === undefined) {
    await context.remark(`Note that nothing is kept of ${nameOf(circuit)}: check the key.`);
  }
  try {
    await run(said);
  } catch (error) {
    if (isOutage(error)) {
      await context.remark(
        `It may have taken effect all the same: look with show ${nameOf(circuit)}.`,
      );
    }
    throw error;
  }
  return await report(context, circuit);
}

function nowWords(listing: CircuitListing | undefined): string {
  if (listing === undefined) {
    return "closed, and nothing is kept of it. Is the key right?";
  }
  const next = nextOf(listing, Date.now());
  return [stateWords(listing), ...next === "" ? [] : [next]].join(", ");
}

/** Prints the circuit as it is afterwards. */
async function report(context: Context, circuit: FoundCircuit): Promise<ExitCode> {
  const store = await context.store();
  const listing = await listingOf(store, circuit.key.storedKey);
  if (context.given.options.json) {
    await context.print(jsonLine(listing ?? null));
  } else {
    const words = listing === undefined
      ? "closed, nothing is kept of it"
      : [stateWords(listing), nextOf(listing, Date.now())].filter((part) => part !== "").join(", ");
    await context.print(`${nameOf(circuit)}: ${words}`);
  }
  return EXIT_CODES.done;
}
