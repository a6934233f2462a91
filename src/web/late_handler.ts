/**
 * Makes a response that has ended ignore what its handler still does with it. Otherwise a handler that
 * is too late throws, and inside a callback that ends the process.
 */
export function ignoreLateHandler(res: object): void {
  for (const name of RETURN_RESPONSE) silence(res, name, res);
  silence(res, "flushHeaders", undefined);
  silence(res, "write", true);
}

const RETURN_RESPONSE: readonly string[] = [
  "setHeader",
  "setHeaders",
  "appendHeader",
  "removeHeader",
  "writeHead",
  "end",
];

function silence(res: object, name: string, returned: unknown): void {
  Object.defineProperty(res, name, { value: () => returned, configurable: true, writable: true });
}
