/**
 * Faults of Deno itself that tests meet on older versions.
 *
 * @module
 */

/**
 * Tests that Deno before 2.9.6 fails. There, an Express app does not hear that its response ended when it
 * destroys the socket, and a request whose connection is reset reaches the upstream twice.
 */
const MENDED_IN_2_9_6: readonly string[] = [
  "circuitErrorHandler() lets an error behind the headers count as a failure",
  "guard() hands the signal to a proxy, and decides by what the upstream answers",
];

/** Whether this Deno fails a test by a fault of its own. */
export function failsByDeno(test: string, version: string = Deno.version.deno): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+-]/).map(Number);
  const isOlder = major * 1e6 + minor * 1e3 + patch < 2_009_006;
  return isOlder && MENDED_IN_2_9_6.includes(test);
}
