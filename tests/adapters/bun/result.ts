/** What the program under Bun says of one test, on one line. */
export interface BunTestResult {
  name: string;
  /** Why it failed; absent where it passed. */
  failure?: string;
}
