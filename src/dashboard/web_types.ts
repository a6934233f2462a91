/**
 * The web's types of requests and answers, as far as a project has them: those of the DOM, of Deno, Bun or
 * Node. A project without any can still compile against this package.
 */

/** What is known of a request or an answer where a project has no types of the web. */
export interface PlainMessage {
  /** Its headers. */
  readonly headers: { get(name: string): string | null };
}

/** The web's `Request`. */
// dnt-shim-ignore
export type WebRequest = typeof globalThis extends { Request: { prototype: infer Type } } ? Type
  : PlainMessage & { readonly method: string; readonly url: string };

/** The web's `Response`. */
// dnt-shim-ignore
export type WebResponse = typeof globalThis extends { Response: { prototype: infer Type } } ? Type
  : PlainMessage & { readonly status: number };
