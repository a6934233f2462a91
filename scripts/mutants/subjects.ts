/** What `deno task mutants` changes, and the tests that have to notice. */

/** Sources that are changed together, and their tests. Both are files, or folders. */
export interface Subject {
  readonly name: string;
  readonly sources: readonly string[];
  /** Those that take little time. */
  readonly tests: readonly string[];
  /** Those that judge what the others let survive. */
  readonly patientTests?: readonly string[];
}

/** The subjects by the names that `deno task mutants` takes. */
export const SUBJECTS: readonly Subject[] = [
  {
    name: "rules",
    sources: ["src/rules"],
    tests: [
      ...[
        ...[
          "backoff",
          "counting",
          "forcing",
          "logging",
          "memory_circuits",
          "memory_log",
          "moving",
          "probing",
        ],
        ...["probing_model", "ramping", "rate_oracle", "refusing", "segments", "settling", "state"],
        ...["suspicion", "tripping", "voting"],
      ].map((rule) => `tests/rules/${rule}_test.ts`),
      ...["tests/conformance/memory_test.ts", "tests/messages_test.ts"],
      ...["tests/outage/guard_test.ts", "tests/outage/outage_test.ts"],
    ],
    patientTests: [
      "tests/postgres/statements/record_and_trip_test.ts",
      "tests/rules/memory_and_table_test.ts",
    ],
  },
  {
    name: "coalescer",
    sources: ["src/postgres/coalescer.ts"],
    tests: [
      "tests/postgres/coalescer_test.ts",
      "tests/postgres/dispatcher_test.ts",
    ],
  },
  {
    name: "admission",
    sources: ["src/admission"],
    tests: [
      "tests/admission",
      "tests/messages_test.ts",
      "tests/metrics/numbers_test.ts",
      "tests/metrics/observation_test.ts",
      "tests/breaker/quick_calls_test.ts",
      "tests/store_test.ts",
      "tests/conformance/memory_test.ts",
    ],
  },
  {
    name: "feed",
    sources: ["src/feed"],
    tests: ["tests/feed", "tests/messages_test.ts", "tests/conformance/memory_test.ts"],
  },
  {
    name: "cache",
    sources: ["src/cache"],
    tests: [
      ...[
        ...[
          "cached_circuit",
          "cached_circuit_answers",
          "circuit_cache",
          "elapsed_clock",
          "entries",
          "flusher",
          "flusher_alone",
          "forced_end",
        ],
        ...["last_count", "many_reads", "refresh_schedule", "subscription", "success_count"],
        ...["suspects", "tail_follower", "whole_reads"],
      ].map((name) => `tests/cache/${name}_test.ts`),
    ],
    patientTests: ["tests/cache/interleavings_test.ts", "tests/edge/cache_test.ts"],
  },
];
