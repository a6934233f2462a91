import { parseArgs } from "node:util";
import { type ContenderName, CONTENDERS } from "./contenders.ts";

/** What the command line asks for. */
export interface BenchOptions {
  /** Names of loads, or their first words; none means all. */
  only: string[];
  contenders: ContenderName[];
  seconds: number;
  rounds: number;
  quick: boolean;
  soak: boolean;
  soakSeconds: number;
  strict: boolean;
  list: boolean;
  /** Where the JSON goes; a temporary file by default. */
  json: string | undefined;
}

/** What the command line understands. */
export const USAGE: string = `Usage: deno task bench [options]

  --only NAME          only this load or experiment, or all whose name starts with these words; may be repeated
  --contenders A,B     only these: ${CONTENDERS.join(", ")}
  --seconds N          how long one round of one contender is (default 0.5)
  --rounds N           how many rounds (default 5, 3 where no bar is set)
  --quick              only loads with a bar, in 3 short rounds, and no experiment that takes long
  --soak               hammer one circuit for 60 seconds and watch its table, instead of the loads
  --soak-seconds N     for that long
  --strict             end with exit code 1 if a bar is missed
  --json FILE          write the figures there (default a temporary file)
  --list               print the names of the loads and experiments
  --help               print this`;

/** Reads the command line; undefined where only the usage is wanted. */
export function parseOptions(args: string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true, default: [] },
      contenders: { type: "string", default: CONTENDERS.join(",") },
      seconds: { type: "string" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      soak: { type: "boolean", default: false },
      "soak-seconds": { type: "string", default: "60" },
      strict: { type: "boolean", default: false },
      json: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    only: values.only.flatMap(words),
    contenders: words(values.contenders).map(contenderOf),
    seconds: positive("seconds", values.seconds ?? (values.quick ? "0.3" : "0.5")),
    rounds: Math.ceil(positive("rounds", values.rounds ?? (values.quick ? "3" : "5"))),
    quick: values.quick,
    soak: values.soak,
    soakSeconds: positive("soak-seconds", values["soak-seconds"]),
    strict: values.strict,
    list: values.list,
    json: values.json,
  };
}

function words(list: string): string[] {
  return list.split(",").map((word) => word.trim()).filter((word) => word !== "");
}

function contenderOf(name: string): ContenderName {
  const contender = CONTENDERS.find((each) => each === name);
  if (contender !== undefined) return contender;
  throw new RangeError(
    `Cannot run the benchmark: "--contenders" must be among ${CONTENDERS.join(", ")}, ` +
      `received ${name}`,
  );
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new RangeError(
    `Cannot run the benchmark: "--${name}" must be a positive number, received ${text}`,
  );
}
