/** The options of the dashboard, and their checks. */

import { describe } from "../describe.ts";
import { assertBoolean, assertFunction, assertOptions, assertString } from "../options/check.ts";
import { type DashboardStore, STORE_METHODS } from "./store_like.ts";
import type { WebRequest, WebResponse } from "./web_types.ts";

const ACTION = "serve dashboard";
const DEFAULT_TITLE = "Circuit breakers";
const MAX_TITLE = 100;

/** One or more segments of letters that need no encoding. */
const BASE_PATH = /^(?:\/[A-Za-z0-9_~.-]+)+$/;

/**
 * What a request may do.
 *
 * - `false`: nothing. The dashboard answers 403.
 * - `"read"`: see everything, and change nothing.
 * - `true`: see everything, and act where `readOnly` is `false`. The log then names `dashboard` as the actor.
 * - `{ actor }`: the same, and the log names this actor: from 1 to 200 characters.
 * - A `Response`: nothing. The dashboard answers with it, for instance with a redirection to a login.
 */
export type DashboardAccess = boolean | "read" | { readonly actor: string } | WebResponse;

/** Options of {@linkcode dashboard}. */
export interface DashboardOptions {
  /**
   * Whether the dashboard only shows. With `false`, a request to which `authorize` answers `true` or
   * `{ actor }` can open, close, release and reset circuits. `authorize` is required then.
   *
   * @default {true}
   */
  readOnly?: boolean | undefined;
  /**
   * Says what a request may do. The dashboard calls it for each request, before it reads anything, and
   * refuses with 500 if it throws, rejects or answers with something else. It must not read the body.
   *
   * @default {undefined} every request may read, and none may act
   */
  authorize?:
    | ((request: WebRequest) => DashboardAccess | Promise<DashboardAccess>)
    | undefined;
  /**
   * The path below which the dashboard is served, such as `/ops/circuits`: it begins with a slash and
   * ends without one. Pass the handler the requests with their whole path.
   *
   * @default {""} the root
   */
  basePath?: string | undefined;
  /**
   * The heading and the title of the page, from 1 to 100 characters.
   *
   * @default {"Circuit breakers"}
   */
  title?: string | undefined;
}

/** The same, checked. */
export interface ResolvedDashboardOptions {
  readonly readOnly: boolean;
  readonly authorize: DashboardOptions["authorize"];
  readonly basePath: string;
  readonly title: string;
}

/** Throws unless the value has the methods that the dashboard calls. */
export function assertStore(store: unknown): asserts store is DashboardStore {
  const methods = typeof store === "object" && store !== null
    ? store as Record<string, unknown>
    : {};
  if (STORE_METHODS.every((name) => typeof methods[name] === "function")) return;
  throw new TypeError(
    `Cannot ${ACTION}: pass a PostgresCircuitBreakerStore or an InMemoryCircuitBreakerStore, ` +
      `received ${describe(store)}`,
  );
}

/** Checks the options and fills in the defaults. */
export function resolveDashboardOptions(options: DashboardOptions): ResolvedDashboardOptions {
  assertOptions(ACTION, options, ["readOnly", "authorize", "basePath", "title"]);
  const { readOnly = true, authorize, basePath = "", title = DEFAULT_TITLE } = options;
  assertBoolean(ACTION, "readOnly", readOnly);
  assertFunction(ACTION, "authorize", authorize);
  if (!readOnly && authorize === undefined) {
    throw new TypeError(
      `Cannot ${ACTION}: "authorize" must be a function where "readOnly" is false, received undefined`,
    );
  }
  assertString(ACTION, "basePath", basePath);
  if (basePath !== "" && (!BASE_PATH.test(basePath) || /\/\.{1,2}(?:\/|$)/.test(basePath))) {
    throw new RangeError(
      `Cannot ${ACTION}: "basePath" must be empty or a path such as "/ops/circuits", without a slash ` +
        `at its end, received ${describe(basePath)}`,
    );
  }
  assertString(ACTION, "title", title);
  if (title.trim() === "" || title.length > MAX_TITLE) {
    throw new RangeError(
      `Cannot ${ACTION}: "title" must have from 1 to ${MAX_TITLE} characters, received ${
        describe(title)
      }`,
    );
  }
  return { readOnly, authorize, basePath, title };
}
