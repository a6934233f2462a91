/**
 * Declarations of modules that no type check of this project can import: those of a runtime, those that
 * only a registry has that may be out of reach, and one that is published such that nothing resolves.
 */

/** Cloudflare's runtime, with the bindings that the docs use. */
export const CLOUDFLARE_WORKERS = `
/** What the documents bind. */
export declare const env: {
  readonly HYPERDRIVE: { readonly connectionString: string };
  readonly UPSTREAM_URL: string;
  readonly RESET_TIMEOUT_MS?: string;
  readonly CALL_TIMEOUT_MS?: string;
};
export declare function waitUntil(work: Promise<unknown>): void;
`;

/** Deno Postgres, as far as the docs use it. */
export const DENO_POSTGRES = `
interface Connection {
  queryObject(text: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
  release(): void;
  end(): Promise<void>;
}
export declare class Pool {
  constructor(url: string | undefined, size: number, lazy?: boolean);
  readonly size: number;
  connect(): Promise<Connection>;
  end(): Promise<void>;
}
`;
