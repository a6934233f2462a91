/**
 * What a Worker has of its runtime. Where the worker is bundled, `cloudflare:workers` takes the place of
 * this file.
 *
 * @module
 */

import type { Stoma } from "../../support/stoma.ts";

/** The gateway and its policy. */
export declare function loadStoma(): Promise<Stoma>;

/** Keeps the request alive until work has ended. */
export declare function waitUntil(work: Promise<unknown>): void;

/** The bindings of the worker. */
export declare const env: {
  readonly HYPERDRIVE: { readonly connectionString: string };
  /** Where the gateway's upstream listens. */
  readonly UPSTREAM: string;
};
