/** Which request gets which answer. */

import { isCircuitBreakerStoreError } from "../errors.ts";
import { type Access, accessOf } from "./access.ts";
import { act } from "./acts.ts";
import { readChanges } from "./change_pages.ts";
import { countCircuits, findCircuit, readPage } from "./circuit_pages.ts";
import { reasonOf } from "./condition.ts";
import { LiveEvents } from "./live_events.ts";
import type { ResolvedDashboardOptions } from "./options.ts";
import { pageAnswer } from "./page.ts";
import { changesRequestOf, pageRequestOf, storedKeyOf } from "./queries.ts";
import { answer, json, problem, Refusal } from "./responses.ts";
import { SharedReads } from "./shared_reads.ts";
import type { DashboardStore } from "./store_like.ts";

/** A request that may read. */
interface Visit {
  readonly request: Request;
  readonly params: URLSearchParams;
  readonly access: Access;
}

type Route = (visit: Visit) => Response | Promise<Response>;

/** Answers requests. */
export class DashboardRoutes {
  readonly #store: DashboardStore;
  readonly #options: ResolvedDashboardOptions;
  readonly #reads = new SharedReads();
  readonly #live: LiveEvents;
  readonly #routes: ReadonlyMap<string, { method: "GET" | "POST"; run: Route }>;

  constructor(store: DashboardStore, options: ResolvedDashboardOptions) {
    this.#store = store;
    this.#options = options;
    this.#live = new LiveEvents(store, this.#reads);
    this.#routes = new Map([
      ["/", { method: "GET", run: (visit) => this.#page(visit) }],
      ["/api/circuits", { method: "GET", run: (visit) => this.#circuits(visit) }],
      ["/api/circuit", { method: "GET", run: (visit) => this.#circuit(visit) }],
      ["/api/changes", { method: "GET", run: (visit) => this.#changes(visit) }],
      ["/api/instances", { method: "GET", run: (visit) => this.#instances(visit) }],
      ["/api/events", { method: "GET", run: (visit) => this.#events(visit) }],
      ["/api/act", { method: "POST", run: (visit) => this.#act(visit) }],
    ]);
  }

  /** Answers one request. It never rejects. */
  async answer(request: Request): Promise<Response> {
    try {
      const response = await this.#route(request);
      return request.method === "HEAD" ? await withoutBody(response) : response;
    } catch (error) {
      if (error instanceof Refusal) return problem(error.status, { detail: error.message });
      if (!isCircuitBreakerStoreError(error) && !this.#live.condition.current.isOut) {
        return problem(500, { detail: "The dashboard failed." });
      }
      return problem(503, {
        detail: reasonOf(error),
        more: { store: this.#live.condition.current },
      });
    }
  }

  async #route(request: Request): Promise<Response> {
    const { pathname, search, searchParams } = new URL(request.url);
    const { basePath } = this.#options;
    if (basePath !== "" && pathname === basePath) {
      // Relative, because a proxy can have removed a prefix.
      const location = `${basePath.slice(basePath.lastIndexOf("/") + 1)}/${search}`;
      return answer(null, { location }, 308);
    }
    const path = pathname.startsWith(`${basePath}/`) ? pathname.slice(basePath.length) : "";
    const route = this.#routes.get(path);
    if (route === undefined) return problem(404, { detail: "The dashboard has no such page." });
    const methods = route.method === "GET" ? ["GET", "HEAD"] : ["POST"];
    if (!methods.includes(request.method)) {
      return problem(405, {
        detail: `This address takes ${methods.join(" and ")}.`,
        headers: { allow: methods.join(", ") },
      });
    }
    const access = await accessOf(this.#options, request);
    if (access instanceof Response || !("mayAct" in access)) return access;
    return await route.run({ request, params: searchParams, access });
  }

  #page({ access }: Visit): Promise<Response> {
    const { title } = this.#options;
    const hasInstances = typeof this.#store.instances === "function";
    return pageAnswer({ title, hasInstances, ...access });
  }

  async #circuits({ params }: Visit): Promise<Response> {
    const wanted = pageRequestOf(params);
    const [page, counts] = await Promise.all([
      this.#read(["circuits", wanted], () => readPage(this.#store, wanted)),
      this.#read(["counts"], () => countCircuits(this.#store)),
    ]);
    return json({ now: Date.now(), ...page, counts });
  }

  async #circuit({ params }: Visit): Promise<Response> {
    const storedKey = storedKeyOf(params);
    const circuit = await this.#read(
      ["circuit", storedKey],
      () => findCircuit(this.#store, storedKey),
    );
    return json({ now: Date.now(), circuit: circuit ?? null });
  }

  async #changes({ params }: Visit): Promise<Response> {
    const { since, limit } = changesRequestOf(params);
    const storedKey = params.get("key") ?? undefined;
    const page = await this.#read(
      ["changes", storedKey, limit, params.get("windowMs")],
      () => readChanges(this.#store, { storedKey, since, limit }),
    );
    return json({ now: Date.now(), since, ...page });
  }

  async #instances(_visit: Visit): Promise<Response> {
    if (typeof this.#store.instances !== "function") {
      return problem(404, { detail: "This store does not know its instances." });
    }
    const instances = await this.#read(["instances"], () => this.#store.instances!());
    return json({ now: Date.now(), instances });
  }

  #events({ request }: Visit): Response {
    if (request.method === "HEAD") return answer(null, { "content-type": "text/event-stream" });
    return this.#live.open(request.headers.get("last-event-id"));
  }

  async #act({ request, access }: Visit): Promise<Response> {
    try {
      await act(this.#store, request, access);
    } finally {
      this.#reads.forget();
    }
    return json({ now: Date.now(), actor: access.actor });
  }

  /** Reads what browsers may share. Without a watch, nothing says when an answer is old. */
  #read<T>(question: unknown[], ask: () => Promise<T>): Promise<T> {
    const observed = () => this.#live.condition.observe(() => refusingArguments(ask));
    return this.#live.isWatching
      ? this.#reads.read(JSON.stringify(question), observed)
      : observed();
  }
}

/** A key that no circuit can have says nothing about the store. */
async function refusingArguments<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new Refusal(400, "The circuit's key cannot be used.");
    }
    throw error;
  }
}

async function withoutBody(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, { status: response.status, headers: response.headers });
}
