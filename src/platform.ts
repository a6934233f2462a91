/**
 * Types of the web platform, for declarations that also compile where a program has no such types. Where
 * it has them, they are its own.
 */

/** `Response`, where the program has it. */
// dnt-shim-ignore
export type WebResponse = typeof globalThis extends { Response: { prototype: infer T } } ? T
  : unknown;

/** `Request`, where the program has it. */
// dnt-shim-ignore
export type WebRequest<Part> = typeof globalThis extends {
  Request: { prototype: infer T extends Part };
} ? T
  : Part;
