/** What Express adds to a request, as far as the default key needs it. */
interface RoutedRequest {
  readonly method?: string | undefined;
  readonly baseUrl?: string | undefined;
  readonly route?: { readonly path: unknown } | undefined;
}

/** How many paths a router may be mounted at before they are taken for values of parameters. */
const MAX_MOUNTS = 8;

const mounts = new WeakMap<object, Set<string>>();

/**
 * The key of the route that serves a request: its method and its pattern, such as `GET /users/:id`. The
 * path itself would make a circuit for each user.
 *
 * Express says where a router is mounted by the path of the request only. Where that has parameters, each
 * value would make a circuit. So a route has at most eight such prefixes, and `*` for all others.
 *
 * @returns `undefined` in front of all routes, where Express does not know the route yet.
 */
export function routeKey(req: RoutedRequest): string | undefined {
  const { method = "GET", baseUrl = "", route } = req;
  if (route === undefined || route === null) return undefined;
  const served = method === "HEAD" ? "GET" : method;
  return `${served} ${mountOf(route, baseUrl.toLowerCase())}${String(route.path)}`;
}

function mountOf(route: object, baseUrl: string): string {
  if (baseUrl === "") return "";
  let known = mounts.get(route);
  if (known === undefined) mounts.set(route, known = new Set());
  if (known.size < MAX_MOUNTS) known.add(baseUrl);
  return known.has(baseUrl) ? baseUrl : "*";
}
