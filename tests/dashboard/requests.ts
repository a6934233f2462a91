/** Requests to a dashboard, as a browser and as other programs send them. */

/** What a dashboard is to a server. */
export type Handler = (request: Request) => Promise<Response>;

const ORIGIN = "http://localhost:8000";

/** Reads an address. */
export function get(handler: Handler, path: string, init: RequestInit = {}): Promise<Response> {
  return handler(new Request(ORIGIN + path, init));
}

/** Reads an address as JSON, and fails unless the answer is a success. */
// deno-lint-ignore no-explicit-any
export async function getJson(handler: Handler, path: string): Promise<any> {
  const response = await get(handler, path);
  const body = await response.json();
  if (response.status !== 200) throw new Error(`${path}: ${JSON.stringify(body)}`);
  return body;
}

/** The headers with which the page's script acts, as the browser sends them. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "application/json",
  "origin": ORIGIN,
  "host": "localhost:8000",
  "x-circuit-breaker-act": "1",
};

/** Acts with these headers. `undefined` leaves a header out. */
export function act(
  handler: Handler,
  body: unknown,
  changed: Record<string, string | undefined> = {},
): Promise<Response> {
  const headers = new Headers();
  for (const [name, value] of Object.entries({ ...PAGE_HEADERS, ...changed })) {
    if (value !== undefined) headers.set(name, value);
  }
  return handler(
    new Request(`${ORIGIN}/api/act`, {
      method: "POST",
      headers,
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  );
}

/** The status of an answer, and what its problem says. */
export async function problemOf(answer: Promise<Response>): Promise<[number, string]> {
  const response = await answer;
  return [response.status, (await response.json()).detail];
}
