import {
  migrate,
  type OutageChange,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
} from "../../mod.ts";
import { connect, createDatabase } from "../support/database.ts";
import { openDriver } from "./drivers.ts";
import type { Driver } from "./messages.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const HAPPENS_WITHIN_MS = 60_000;

/** How long a call waits for the database, unless a test says otherwise. */
export const TIMEOUT_MS = 500;

/** Statements that a store sent, beside the driver that really sends them. */
export class Sent {
  /** When each began, on the clock of `performance.now()`. */
  readonly times: number[] = [];
  /** When each was answered, or failed; those that the driver still holds are missing. */
  readonly answers: number[] = [];

  /** The same client, with every statement noted here. */
  through(client: PostgresClient): PostgresClient {
    return {
      query: async (text, params) => {
        const index = this.times.push(performance.now()) - 1;
        try {
          return await client.query(text, params);
        } finally {
          this.answers[index] = performance.now();
        }
      },
    };
  }
}

/** A store that is watched. */
export interface Instance {
  store: PostgresCircuitBreakerStore;
  sent: Sent;
  events: OutageChange[];
  isOut(): boolean;
  /** Resolves when it has noticed this number of begins and ends of outages. */
  noticed(events: number): Promise<void>;
}

/** A database behind a proxy, and stores of this process in front of it. */
export interface Site extends AsyncDisposable {
  proxy: TcpProxy;
  /** The administrator's connection, past the proxy. */
  sql: ReturnType<typeof connect>;
  /** Opens a store on a pool of its own. */
  open(options?: PostgresCircuitBreakerStoreOptions): Instance;
}

/** Opens a site with an empty table, whose pools have at most `max` connections. */
export async function openSite(driver: Driver, max: number = 4): Promise<Site> {
  await using cleanup = new AsyncDisposableStack();
  const { url } = cleanup.use(await createDatabase());
  const sql = cleanup.use(connect(url));
  await migrate({ query: async (text) => ({ rows: await sql.unsafe(text) }) });
  const proxy = cleanup.use(TcpProxy.start(url));
  const pools = cleanup.use(new AsyncDisposableStack());
  // Before the pools are closed, whatever a test left the network in.
  cleanup.defer(async () => {
    await proxy.resume();
    proxy.cut();
  });
  const stores = cleanup.use(new AsyncDisposableStack());
  const kept = cleanup.move();
  return {
    proxy,
    sql,
    open(options) {
      // The store gives up a statement before the driver gives up its connection.
      const silenceMs = 2 * (options?.timeoutMs ?? TIMEOUT_MS);
      const { client } = pools.use(openDriver(driver, proxy.urlOf(url), max, silenceMs));
      const instance = openInstance(client, options);
      stores.use(instance.store);
      return instance;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function openInstance(
  client: PostgresClient,
  options: PostgresCircuitBreakerStoreOptions | undefined,
): Instance {
  const sent = new Sent();
  const events: OutageChange[] = [];
  let changed = Promise.withResolvers<void>();
  const store = new PostgresCircuitBreakerStore(sent.through(client), undefined, {
    timeoutMs: TIMEOUT_MS,
    ...options,
    onOutageChange: (change) => {
      events.push(change);
      changed.resolve();
      changed = Promise.withResolvers();
    },
  });
  return {
    store,
    sent,
    events,
    isOut: () => events.at(-1)?.isOut ?? false,
    async noticed(count) {
      const late = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => late.reject(new Error(`Cannot go on: ${events.length} of ${count} outage events`)),
        HAPPENS_WITHIN_MS,
      );
      try {
        while (events.length < count) await Promise.race([changed.promise, late.promise]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
