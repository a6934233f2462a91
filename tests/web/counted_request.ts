/** A path, the status of the answer, and what the circuit of the path has counted then. */
export type CountedRequest = [
  path: string,
  status: number,
  counts: [failures: number, successes: number],
];
