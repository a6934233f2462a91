/** The version of this release, as in `deno.json`. */
export const VERSION = "0.1.0";
