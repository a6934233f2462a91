/**
 * A store under load in a process of its own, and a real gateway on the same store. Its first line
 * of input is its settings, each further one a command. Nothing here catches what nobody awaits: an
 * unhandled rejection or an uncaught exception ends the process, which the test then sees. It ends
 * with its input, so that it never outlives its test.
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { lines } from "../../scripts/demo/lines.ts";
import { loadStoma, type StomaGateway } from "../support/stoma.ts";
import { openDriver } from "./drivers.ts";
import { Ledger, noteOf } from "./ledger.ts";
import type { KeyTally, LoadCommand, LoadMessage, LoadSettings, Weight } from "./messages.ts";
import { Noise } from "./noise.ts";

const COUNTED_KEYS = 3;

/** What else the program asks of the pool that its store uses: so many at a time, each so often. */
const NEIGHBOURS = 3;
const NEIGHBOUR_PAUSE_MS = 20;

/** Requests at once, which bounds the connections that the gateway keeps to its upstream. */
const CLIENTS = 3;
const MAX_STALENESS_MS = 100;
const BREAKER = { failureThreshold: 5, resetTimeoutMs: 20, probeTimeoutMs: 100 };

function tell(message: LoadMessage): void {
  console.log(JSON.stringify(message));
}

/** One kind of call after the other, again and again. */
type Call = [name: string, run: (load: Load, turn: number) => Promise<unknown>];

const CALLS: readonly Call[] = [
  ["recordSuccess", (load, turn) => load.count(load.countedKey(turn), "successes")],
  ["getState", (load, turn) => load.store.getState(load.countedKey(turn))],
  ["recordFailure", (load, turn) => load.count(load.countedKey(turn), "failures")],
  ["open", (load) => load.store.transition(load.movedKey, "open")],
  ["recordSuccess", (load) => load.count(load.sharedKey, "successes")],
  ["admit", (load) => load.store.getState(load.movedKey)],
  ["recordFailure", (load) => load.count(load.sharedKey, "failures")],
  ["close", (load) => load.store.transition(load.movedKey, "closed")],
  ["peek", (load) => load.store.peek([load.countedKey(0), load.movedKey, "nothing"])],
  ["recordSuccess", (load, turn) => load.count(load.countedKey(turn + 1), "successes")],
  ["list", (load) => load.store.list({ limit: 3 })],
  ["reset", (load) => load.store.reset(`${load.movedKey} again`)],
];
const REQUESTS: readonly Call[] = [["gateway", (load) => load.request()]];
const KINDS = new Set([...CALLS, ...REQUESTS].map(([name]) => name));

/** The database is back; the store is when every kind of call has worked. */
interface Return {
  at: number;
  noiseAt: number;
  worked: Set<string>;
}

class Load {
  readonly store: PostgresCircuitBreakerStore;
  readonly #settings: LoadSettings;
  readonly #ledger = new Ledger();
  readonly #noise: Noise;
  readonly #gateway: StomaGateway;
  #phase = "before";
  #announceAt = Infinity;
  /** Calls without an answer by the phase in which they began. */
  readonly #open = new Map<string, number>();
  #outages = 0;
  #isOut = false;
  #return: Return | undefined;
  #isStopped = false;
  readonly #stopped = Promise.withResolvers<void>();

  constructor(
    settings: LoadSettings,
    openStore: (load: Load) => PostgresCircuitBreakerStore,
    openGateway: (store: PostgresCircuitBreakerStore) => StomaGateway,
    noise: Noise,
  ) {
    this.#settings = settings;
    this.#noise = noise;
    this.store = openStore(this);
    this.#gateway = openGateway(this.store);
  }

  get movedKey(): string {
    return `${this.#settings.name} moved`;
  }

  /** Counted by all loads whose counts are exact. */
  get sharedKey(): string {
    const { mode, name } = this.#settings;
    return mode === "throw" ? `shared ${this.#phase}` : `${name} ${this.#phase} shared`;
  }

  countedKey(turn: number): string {
    return `${this.#settings.name} ${this.#phase} ${turn % COUNTED_KEYS}`;
  }

  async count(key: string, counter: keyof KeyTally): Promise<void> {
    try {
      await (counter === "failures"
        ? this.store.recordFailure(key)
        : this.store.recordSuccess(key));
    } catch (error) {
      this.#ledger.count(key, counter, true, error);
      throw error;
    }
    this.#ledger.count(key, counter, false, undefined);
  }

  async request(): Promise<void> {
    const response = await this.#gateway.app.request("/orders");
    await response.body?.cancel();
    this.#ledger.respond(response.status);
  }

  /** Calls until it is stopped. */
  async run(): Promise<void> {
    const { callers } = this.#settings;
    const first = (caller: number) => Math.floor(caller * CALLS.length / callers);
    await Promise.all([
      ...Array.from({ length: callers }, (_, each) => this.#callInTurns(CALLS, first(each))),
      ...Array.from({ length: CLIENTS }, () => this.#callInTurns(REQUESTS, 0)),
    ]);
  }

  /** Calls for one more circuit until it is stopped. */
  async also(key: string): Promise<void> {
    await this.#callInTurns([
      ["recordSuccess", () => this.count(key, "successes")],
      ["getState", () => this.store.getState(key)],
    ], 0);
  }

  async #callInTurns(calls: readonly Call[], first: number): Promise<void> {
    for (let turn = first; !this.#isStopped; turn++) {
      const [name, run] = calls[turn % calls.length]!;
      await this.#measure(name, () => run(this, turn));
      await new Promise((resolve) => setTimeout(resolve, this.#settings.pauseMs));
    }
  }

  async #measure(call: string, run: () => Promise<unknown>): Promise<void> {
    const phase = this.#phase;
    const outages = this.#isOut ? this.#outages : undefined;
    const noise = this.#noise.total();
    const start = performance.now();
    this.#open.set(phase, (this.#open.get(phase) ?? 0) + 1);
    let error: unknown;
    let isError = false;
    try {
      await run();
    } catch (reason) {
      error = reason;
      isError = true;
    }
    const tookMs = performance.now() - start;
    const noiseMs = this.#noise.total() - noise;
    const isDuring = this.#isOut && outages === this.#outages;
    this.#ledger.add({ call, phase, tookMs, noiseMs, error, isError, isDuring });
    if (this.#ledger.phase(this.#phase).answers === this.#announceAt) {
      this.#announceAt = Infinity;
      tell({ type: "reached", phase: this.#phase });
    }
    this.#watchReturn(call, isError, start);
    this.#open.set(phase, this.#open.get(phase)! - 1);
    if (phase !== this.#phase) this.#tellBegan();
  }

  #tellBegan(): void {
    for (const [phase, calls] of this.#open) if (phase !== this.#phase && calls > 0) return;
    tell({ type: "began", phase: this.#phase });
  }

  #watchReturn(call: string, isError: boolean, start: number): void {
    const back = this.#return;
    if (back === undefined) return;
    if (isError || this.#isOut) back.worked.clear();
    else if (start >= back.at) back.worked.add(call);
    if (back.worked.size < KINDS.size) return;
    this.#return = undefined;
    const afterMs = performance.now() - back.at;
    tell({ type: "recovered", afterMs, noiseMs: this.#noise.total() - back.noiseAt });
  }

  noteOutage(isOut: boolean, cause: unknown): void {
    this.#isOut = isOut;
    if (isOut) {
      this.#outages++;
      this.#ledger.phase(this.#phase).outages++;
    }
    tell({ type: "outage", isOut, ...cause !== undefined && { cause: noteOf(cause) } });
  }

  begin(phase: string, answers: number): void {
    this.#phase = phase;
    this.#announceAt = this.#ledger.phase(phase).answers + answers;
    if (this.#isOut) this.#ledger.phase(phase).outages++;
    this.#tellBegan();
  }

  back(): void {
    this.#return = { at: performance.now(), noiseAt: this.#noise.total(), worked: new Set() };
  }

  /** The rest of the program, which has the same pool and no patience. */
  async neighbour(query: (text: string) => Promise<unknown>): Promise<void> {
    const stopped = this.#stopped.promise;
    while (!this.#isStopped) {
      await Promise.race([query("select 1").catch(() => {}), stopped]);
      await new Promise((resolve) => setTimeout(resolve, NEIGHBOUR_PAUSE_MS));
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopped.resolve();
  }

  report(): void {
    tell({ type: "report", report: this.#ledger.report() });
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
  const { driver, databaseUrl, connections } = settings;
  const { client, query } = cleanup.use(openDriver(driver, databaseUrl, connections));
  const upstream = cleanup.use(
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("ok")),
  );
  const noise = cleanup.use(new Noise());
  const load = new Load(
    settings,
    (load) =>
      new PostgresCircuitBreakerStore(client, undefined, {
        ...BREAKER,
        timeoutMs: settings.timeoutMs,
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
  await load.store.peek("connects");
  await load.request();
  tell({ type: "ready" });

  const running = [load.run()];
  for (let each = 0; each < NEIGHBOURS; each++) running.push(load.neighbour(query));
  for await (const line of commands) {
    const command: LoadCommand = JSON.parse(line);
    if (command.type === "phase") load.begin(command.phase, command.answers);
    else if (command.type === "back") load.back();
    else if (command.type === "also") running.push(load.also(command.key));
    else if (command.type === "weigh") tell({ type: "weight", weight: await weigh() });
    else if (command.type === "hold") {
      for (let taken = 0; taken < command.connections; taken++) {
        // Nobody waits for it: the store's neighbour in the same process.
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
