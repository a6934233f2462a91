import type { CircuitBreakerStore } from "../../src/types.ts";
import type { loadStoma, StomaGateway } from "../../tests/support/stoma.ts";
import { circuitKey, type Operate } from "./load.ts";

/** How many calls to its store the policy makes for a request that goes well. */
export const CALLS_PER_REQUEST = 2;

type Stoma = Awaited<ReturnType<typeof loadStoma>>;

/** What the package accepts beside the kind of upstream that the tests use. */
interface HandlerRoute {
  path: string;
  pipeline: {
    policies: ReturnType<Stoma["circuitBreaker"]>[];
    upstream: { type: "handler"; handler: (context: { text(body: string): Response }) => Response };
  };
}

/**
 * A request through the whole gateway in this process: its routing, the unmodified policy and an
 * upstream that answers at once. The last part of the path is the circuit's key.
 */
export async function operateGateway(
  stoma: Stoma,
  store: CircuitBreakerStore,
  circuits: number = 1,
): Promise<Operate> {
  const paths = Array.from({ length: circuits }, (_, index) => `/${circuitKey(index)}`);
  const route: HandlerRoute = {
    path: "/*",
    pipeline: {
      policies: [stoma.circuitBreaker({ key: keyOf, store })],
      upstream: { type: "handler", handler: (context) => context.text("ok") },
    },
  };
  const create = stoma.createGateway as unknown as (
    options: { routes: HandlerRoute[] },
  ) => StomaGateway | Promise<StomaGateway>;
  const { app } = await create({ routes: [route] });
  return async (random) => {
    const response = await app.request(paths[random % circuits]!);
    if (response.status !== 200) {
      throw new Error(`Cannot measure the gateway: a request failed, received ${response.status}`);
    }
  };
}

function keyOf({ req }: { req: { url: string } }): string {
  return req.url.slice(req.url.lastIndexOf("/") + 1);
}
