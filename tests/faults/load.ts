/**
 * A store under load in a process of its own, and a real gateway on the same store. Its first line
 * of input is its settings, each further one a command. Nothing here catches a rejection
 * that no caller awaits: an unhandled rejection or an uncaught exception ends the process, which
 * the test then sees. It ends with its input, so that it never outlives its test.
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { lines } from "../../scripts/demo/lines.ts";
import { loadStoma, type StomaGateway } from "../support/stoma.ts";
import { openDriver } from "./drivers.ts";
import { type Call, MeasuredCalls } from "./measured_calls.ts";
import type { KeyTally, LoadCommand, LoadMessage, LoadSettings, Weight } from "./messages.ts";
import { Noise } from "./noise.ts";

const COUNTED_KEYS = 3;

/** What else the program asks of its store's pool: how many statements at a time, and the pause. */
const NEIGHBOURS = 3;
const NEIGHBOUR_PAUSE_MS = 20;

/** Requests at once, which bounds the connections that the gateway keeps to its upstream. */
const CLIENTS = 3;
const MAX_STALENESS_MS = 100;
const BREAKER = { failureThreshold: 5, resetTimeoutMs: 20, probeTimeoutMs: 100 };

function send(message: LoadMessage): void {
  console.log(JSON.stringify(message));
}

type LoadCall = [name: string, run: (load: Load, round: number) => Promise<unknown>];

const CALLS: readonly LoadCall[] = [
  ["recordSuccess", (load, round) => load.count(load.countedKey(round), "successes")],
  ["getState", (load, round) => load.store.getState(load.countedKey(round))],
  ["recordFailure", (load, round) => load.count(load.countedKey(round), "failures")],
  ["open", (load) => load.store.transition(load.movedKey, "open")],
  ["recordSuccess", (load) => load.count(load.sharedKey, "successes")],
  ["admit", (load) => load.store.getState(load.movedKey)],
  ["recordFailure", (load) => load.count(load.sharedKey, "failures")],
  ["close", (load) => load.store.transition(load.movedKey, "closed")],
  ["peek", (load) => load.store.peek([load.countedKey(0), load.movedKey, "nothing"])],
  ["recordSuccess", (load, round) => load.count(load.countedKey(round + 1), "successes")],
  ["list", (load) => load.store.list({ limit: 3 })],
  ["reset", (load) => load.store.reset(`${load.movedKey} again`)],
];
const REQUESTS: readonly LoadCall[] = [["gateway", (load) => load.request()]];
const KINDS = new Set([...CALLS, ...REQUESTS].map(([name]) => name));

class Load extends MeasuredCalls {
  readonly store: PostgresCircuitBreakerStore;
  readonly #settings: LoadSettings;
  readonly #gateway: StomaGateway;

  constructor(
    settings: LoadSettings,
    openStore: (load: Load) => PostgresCircuitBreakerStore,
    openGateway: (store: PostgresCircuitBreakerStore) => StomaGateway,
    noise: Noise,
  ) {
    super({ kinds: KINDS, noise, pauseMs: settings.pauseMs, send });
    this.#settings = settings;
    this.store = openStore(this);
    this.#gateway = openGateway(this.store);
  }

  get movedKey(): string {
    return `${this.#settings.name} moved`;
  }

  /** Counted by all loads whose counts are exact. */
  get sharedKey(): string {
    const { mode, name } = this.#settings;
    return mode === "throw" ? `shared ${this.phase}` : `${name} ${this.phase} shared`;
  }

  countedKey(round: number): string {
    return `${this.#settings.name} ${this.phase} ${round % COUNTED_KEYS}`;
  }

  async count(key: string, counter: keyof KeyTally): Promise<void> {
    try {
      await (counter === "failures"
        ? this.store.recordFailure(key)
        : this.store.recordSuccess(key));
    } catch (error) {
      this.ledger.count(key, counter, true, error);
      throw error;
    }
    this.ledger.count(key, counter, false, undefined);
  }

  async request(): Promise<void> {
    const response = await this.#gateway.app.request("/orders");
    await response.body?.cancel();
    this.ledger.respond(response.status);
  }

  /** Has the driver make its first connection, however long a machine that starts others takes. */
  async connect(query: (text: string) => Promise<unknown>): Promise<void> {
    while (!await query("select 1").then(() => true, () => false));
  }

  /** Calls until it is stopped. */
  async run(): Promise<void> {
    const { callers } = this.#settings;
    const first = (caller: number) => Math.floor(caller * CALLS.length / callers);
    const ofLoad = (calls: readonly LoadCall[]) =>
      calls.map(([name, run]): Call => [name, (round) => run(this, round)]);
    await Promise.all([
      ...Array.from({ length: callers }, (_, each) => this.repeat(ofLoad(CALLS), first(each))),
      ...Array.from({ length: CLIENTS }, () => this.repeat(ofLoad(REQUESTS), 0)),
    ]);
  }

  /** Calls for one more circuit until it is stopped. */
  async also(key: string): Promise<void> {
    await this.repeat([
      ["recordSuccess", () => this.count(key, "successes")],
      ["getState", () => this.store.getState(key)],
    ], 0);
  }

  /** The rest of the program, which has the same pool and no patience. */
  async neighbour(query: (text: string) => Promise<unknown>): Promise<void> {
    while (!this.isStopped) {
      await Promise.race([query("select 1").catch(() => {}), this.stopped]);
      await new Promise((resolve) => setTimeout(resolve, NEIGHBOUR_PAUSE_MS));
    }
  }

  report(): void {
    send({ type: "report", report: this.ledger.report() });
  }
}

/** What this process holds, after all garbage is collected. */
async function weigh(): Promise<Weight> {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, rss } = Deno.memoryUsage();
  let handles: number | undefined;
  try {
    handles = 0;
    for await (const _ of Deno.readDir("/proc/self/fd")) handles++;
  } catch {
    handles = undefined; // not Linux
  }
  return { heapBytes: heapUsed, rssBytes: rss, handles };
}

async function serve(settings: LoadSettings, commands: AsyncIterable<string>): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const { circuitBreaker, createGateway } = await loadStoma(settings.stomaPath);
  const { driver, databaseUrl, connections, timeoutMs } = settings;
  // The store gives up a statement before the driver gives up its connection.
  const silenceMs = timeoutMs + 200;
  const { client, query } = cleanup.use(openDriver(driver, databaseUrl, connections, silenceMs));
  const upstream = cleanup.use(
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("ok")),
  );
  const noise = cleanup.use(new Noise());
  const load = new Load(
    settings,
    (load) =>
      new PostgresCircuitBreakerStore(client, undefined, {
        ...BREAKER,
        timeoutMs,
        onOutage: settings.mode === "local" ? "local" : "throw",
        maxStalenessMs: settings.mode === "bounded" ? MAX_STALENESS_MS : 0,
        onOutageChange: ({ isOut, cause }) => load.noteOutage(isOut, cause),
      }),
    (store) =>
      createGateway({
        routes: [{
          path: "/*",
          pipeline: {
            policies: [
              circuitBreaker({ ...BREAKER, key: () => `${settings.name} gateway`, store }),
            ],
            upstream: { type: "url", target: `http://127.0.0.1:${upstream.addr.port}` },
          },
        }],
      }),
    noise,
  );
  cleanup.defer(() => load.store.close());
  await load.connect(query);
  await load.request();
  send({ type: "ready" });

  const running: Promise<void>[] = [];
  for await (const line of commands) {
    const command: LoadCommand = JSON.parse(line);
    // Nothing is called, and no deadline runs, while other processes of the stage still start.
    if (running.length === 0) {
      running.push(load.run());
      for (let each = 0; each < NEIGHBOURS; each++) running.push(load.neighbour(query));
    }
    if (command.type === "phase") load.begin(command.phase, command.answers);
    else if (command.type === "back") load.back();
    else if (command.type === "also") running.push(load.also(command.key));
    else if (command.type === "weigh") send({ type: "weight", weight: await weigh() });
    else if (command.type === "hold") {
      for (let taken = 0; taken < command.connections; taken++) {
        // Not awaited: it is the store's neighbour in the same process.
        query(`select pg_advisory_xact_lock_shared(${command.lock})`).catch(() => {});
      }
    } else {
      load.stop();
      await Promise.all(running);
      load.report();
      return;
    }
  }
  Deno.exit(1); // the test is gone
}

if (import.meta.main) {
  const input = lines(Deno.stdin.readable);
  const { value, done } = await input.next();
  if (!done) await serve(JSON.parse(value), input);
}
