/** A promise that a test settles itself. Node 20 has no `Promise.withResolvers`. */
export interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
}

/** Makes one. */
export function deferred(): Deferred {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => resolve = done);
  return { promise, resolve };
}
