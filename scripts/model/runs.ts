/** The configurations of the models in `tests/model/` that spin checks, and the broken ones that it must find. */

/** One configuration of a model. */
export interface Run {
  readonly model: "probing" | "voting";
  /** Constants of the model, as `NAME` or `NAME=1`. */
  readonly constants: readonly string[];
  /** What the configuration is about. */
  readonly about: string;
  /** The assertion that a broken variant must violate; absent where all must hold. */
  readonly violates?: RegExp;
  /** Whether endless paths are looked for, in place of violated assertions. */
  readonly endless?: boolean;
}

const OTHER_ROUND = /trueFence\[k\]==truth/;
const STUCK = /!\(quiet\)\|\|\(?state==0/;

/** What must hold. */
export const SOUND: readonly Run[] = [
  { model: "probing", constants: [], about: "three instances, two rounds" },
  {
    model: "probing",
    constants: ["FAULTS=2", "ACTS=2"],
    about: "two faults and two acts of an operator",
  },
  {
    model: "probing",
    constants: ["HALF_OPEN_MAX=2", "SUCCESSES=2"],
    about: "two probes a round, two successes to close",
  },
  {
    model: "probing",
    constants: ["HALF_OPEN_MAX=2", "SUCCESSES=2", "SPARSE"],
    about: "the same, with requests rarer than leases",
  },
  {
    model: "probing",
    constants: ["INSTANCES=1"],
    about: "one instance alone with three calls at a time",
  },
  { model: "probing", constants: ["POLICY", "SLOTS=4"], about: "results without permits" },
  {
    model: "probing",
    constants: ["POLICY", "INSTANCES=1"],
    about: "results without permits, one instance alone",
  },
  {
    model: "probing",
    constants: ["NONE_IGNORED"],
    about: "no endless path: time runs out of things to do",
    endless: true,
  },
  { model: "voting", constants: ["RECOVERS"], about: "one bad instance that recovers" },
  {
    model: "voting",
    constants: ["BAD=3", "FLAPPING", "FAULTS=1"],
    about: "two bad instances, one good one",
  },
  {
    model: "voting",
    constants: ["BAD=3", "RECOVERS", "FAULTS=1", "CLOSINGS=1", "EXPIRIES=1"],
    about: "two bad instances that recover",
  },
  {
    model: "voting",
    constants: ["BAD=7", "FAULTS=0", "CLOSINGS=1", "EXPIRIES=1"],
    about: "all instances fail",
  },
];

/** What must be found. */
export const BROKEN: readonly Run[] = [
  {
    model: "probing",
    constants: ["BROKEN_NO_FENCE"],
    about: "results are not fenced",
    violates: OTHER_ROUND,
  },
  {
    model: "probing",
    constants: ["BROKEN_ROUND_WITHOUT_VERSION"],
    about: "a new round keeps the version",
    violates: OTHER_ROUND,
  },
  {
    model: "probing",
    constants: ["BROKEN_VERSION_OF_ROW"],
    about: "versions are counted in the row, which can leave",
    violates: OTHER_ROUND,
  },
  {
    model: "probing",
    constants: ["BROKEN_FORCE_WITHOUT_VERSION"],
    about: "a forced state takes no version",
    violates: OTHER_ROUND,
  },
  {
    model: "probing",
    constants: ["BROKEN_UNCOUNTED_CLAIM"],
    about: "a claim that joins a round is not counted",
    violates: /n<=1/,
  },
  {
    model: "probing",
    constants: ["BROKEN_LEASE_FOR_EVER"],
    about: "a lease does not end by its time",
    violates: STUCK,
  },
  {
    model: "probing",
    constants: ["BROKEN_LOST_PROBE_COUNTS", "SUCCESSES=2"],
    about: "successes survive a lost probe",
    violates: /inARow\+1/,
  },
  {
    model: "probing",
    constants: ["BROKEN_ONLY_FULL_ROUNDS_COUNT", "HALF_OPEN_MAX=2", "SUCCESSES=2", "SPARSE"],
    about: "successes of a round that was not full are forgotten: rounds have no end",
    violates: /seq>version/,
  },
  {
    model: "probing",
    constants: ["BROKEN_NO_PATIENCE", "POLICY", "SLOTS=4"],
    about: "an instance that owes a claim does not wait",
    violates: /trueFence\[each\]==trueFence\[k\]/,
  },
  {
    model: "probing",
    constants: ["BROKEN_PATIENCE_FOR_EVER", "INSTANCES=1"],
    about: "an instance that owes a claim waits for ever",
    violates: STUCK,
  },
  {
    model: "voting",
    constants: ["BROKEN_VOTES_ARE_ADDED_UP"],
    about: "the votes of one instance add up",
    violates: />=2\)/,
  },
  {
    model: "voting",
    constants: ["BROKEN_LABEL_OF_PROCESS"],
    about: "a process that starts again has a new label",
    violates: />=2\)/,
  },
  {
    model: "voting",
    constants: ["BROKEN_UNKNOWN_FATE_IS_FORGOTTEN", "RECOVERS"],
    about: "a vote without an answer is not withdrawn",
    violates: /hadOrphan\[0\]/,
  },
  {
    model: "voting",
    constants: ["BROKEN_LATE_VOTE_IS_FORGOTTEN", "RECOVERS"],
    about: "a vote from after a zeroing that is heard of later is not withdrawn",
    violates: /hadOrphan\[0\]/,
  },
  {
    model: "voting",
    constants: ["BROKEN_VOTES_FOR_EVER", "BAD=3", "FAULTS=1"],
    about: "votes do not expire",
    violates: />=2\)/,
  },
  {
    model: "voting",
    constants: ["BROKEN_NO_MUTING", "BAD=3", "FLAPPING", "FAULTS=1"],
    about: "outvoted instances are not muted",
    violates: /openings<=/,
  },
  {
    model: "voting",
    constants: ["BROKEN_VOTES_OUTLIVE_OPENING", "BAD=3", "FAULTS=1"],
    about: "an opening does not end the votes",
    violates: /votes==0/,
  },
];

/** How random traces are made: with enough faults and acts for all steps to occur. */
export const TRACED: readonly Pick<Run, "model" | "constants">[] = [
  ...[[1, 1], [2, 2], [3, 2]].map(([max, successes]) => ({
    model: "probing" as const,
    constants: [
      ...[`HALF_OPEN_MAX=${max}`, `SUCCESSES=${successes}`, "SLOTS=4", "NEVER_QUIET"],
      ...["ROUNDS=20", "TRIPS=10", "FAULTS=5", "ACTS=6"],
    ],
  })),
  {
    model: "voting",
    constants: [
      ...["BAD=3", "RECOVERS", "ALL_EXPIRE", "NEVER_QUIET"],
      ...["FAULTS=5", "ACTS=4", "EXPIRIES=4", "CLOSINGS=20"],
    ],
  },
];
