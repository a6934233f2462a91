/** The answers of the dashboard, and the headers that all of them have. */

/** No other page may frame, read or sniff an answer, and no cache may keep one. */
const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** An answer with the common headers. The given headers win. */
export function answer(
  body: BodyInit | null,
  headers: Record<string, string>,
  status = 200,
): Response {
  return new Response(body, { status, headers: { ...COMMON_HEADERS, ...headers } });
}

/** An answer for the page's script. */
export function json(value: unknown): Response {
  return answer(JSON.stringify(value), { "content-type": "application/json; charset=utf-8" });
}

/** What a problem says beside its status and title. */
export interface ProblemDetails {
  /** What is wrong and what to do. */
  detail: string;
  /** More for the page's script. */
  more?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** A refusal in the form of RFC 9457, `application/problem+json`. */
export function problem(status: number, { detail, more, headers }: ProblemDetails): Response {
  const body = { type: "about:blank", title: TITLES[status] ?? "Error", status, detail, ...more };
  return answer(JSON.stringify(body), {
    "content-type": "application/problem+json; charset=utf-8",
    ...headers,
  }, status);
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** A request that the dashboard refuses. */
export class Refusal extends Error {
  /** The status of the answer. */
  readonly status: number;

  /** Makes one. The message is for the client. */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
