/** Marks that error classes put on their errors, which guards of another copy of this package read too. */

const BRAND = Symbol.for("@circuit-breaker/postgres/errors");

/** Marks an error as one of a class, beside the classes that it has already. */
export function brand(error: Error, name: string): void {
  const names = (error as unknown as Record<symbol, string[] | undefined>)[BRAND] ?? [];
  Object.defineProperty(error, BRAND, { value: [...names, name], configurable: true });
}

/** Whether a value is marked as an error of a class. */
export function hasBrand(value: unknown, name: string): boolean {
  if (typeof value !== "object" || value === null) return false;
  const names = (value as Record<symbol, unknown>)[BRAND];
  return Array.isArray(names) && names.includes(name);
}
