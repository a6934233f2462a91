/** The part of Hono's `c.req` by which the default key is chosen. */
export interface RoutedRequest {
  /** The request's method. */
  readonly method: string;
  /** Which of the matched routes is being run. */
  readonly routeIndex: number;
  /** The routes that match, in the order in which Hono runs them. */
  readonly matchedRoutes: readonly { readonly method: string; readonly path: string }[];
}

/** What Hono calls the method of a route that serves all of them; `app.use` makes such routes. */
const ANY = "ALL";

/** The methods that become part of a key. A client can send any other word. */
const METHODS: readonly string[] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/**
 * The key of the route that serves a request: its method and its pattern, such as `GET /users/:id`. The
 * path itself would make a circuit for each user.
 *
 * The route is the first for one method behind the middleware that asks. Where there is none, it is the
 * last route: a handler for all methods, or the middleware itself where nothing handles the request.
 */
export function routeKey({ method, routeIndex, matchedRoutes }: RoutedRequest): string {
  const behind = matchedRoutes.slice(routeIndex + 1);
  const route = behind.find((each) => each.method !== ANY) ?? matchedRoutes.at(-1);
  const asked = method === "HEAD" ? "GET" : METHODS.includes(method) ? method : ANY;
  const served = route === undefined || route.method === ANY ? asked : route.method;
  return `${served} ${route?.path ?? "*"}`;
}
