/** What the process that judges mutants and the process that runs tests write to each other, a line each. */

/** How the answers begin, since tests may print lines too. */
export const ANSWER = "mutants: ";

/** With what a process starts: as JSON, its one argument. */
export interface Start {
  /** The URLs of the test files. */
  readonly files: readonly string[];
  /** The mutant that is active while the files load, where there is one. */
  readonly mutant?: string;
}

/** A test that a file defined. */
export interface FoundTest {
  readonly name: string;
  /** The URL of its file. */
  readonly file: string;
}

/** How often each mutant was reached. */
export type Hits = Record<string, number>;

/** What the tests are asked: to show what they reach, or to meet a mutant. */
export type Question =
  | { readonly ask: "reach"; readonly test: number; readonly limitMs: number }
  | {
    readonly ask: "meet";
    readonly mutant: string;
    /** In this order, until one fails. */
    readonly tests: readonly number[];
    readonly limitsMs: readonly number[];
    /** A mutant that is reached more often is in a loop without end. */
    readonly mostHits: number;
  };

/** How a mutant fared. */
export type Fate =
  | { readonly is: "survived" }
  | { readonly is: "killed" | "timeout"; readonly test: number; readonly why: string }
  /** A test failed, and fails without the mutant too: this process cannot say more. */
  | { readonly is: "unclear"; readonly test: number; readonly why: string };

export type Answer =
  /** The files are loaded. `hits` are of loading. */
  | { readonly is: "ready"; readonly tests: readonly FoundTest[]; readonly hits: Hits }
  /** The files cannot be loaded. */
  | { readonly is: "unready"; readonly why: string }
  /** The next test begins. */
  | { readonly is: "test" }
  | { readonly is: "reached"; readonly hits: Hits; readonly ms: number; readonly why?: string }
  | { readonly is: "fate"; readonly fate: Fate };

/** How long a test may take without a mutant. */
export const TEST_LIMIT_MS = 180_000;
