/** The names that a module exports, with the kinds of their values, in order. */
export function describeExports(module: object): string[] {
  return Object.entries(module).map(([name, value]) => `${name}: ${typeof value}`).toSorted();
}
