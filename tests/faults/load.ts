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
import { Ledger, noteOf } from "./ledger.ts";
import type { KeyTally, LoadCommand, LoadMessage, LoadSettings, Weight } from "./messages.ts";
import { Noise } from "./noise.ts";
import { Recovery } from "./recovery.ts";
import { LoopWatch } from "./waiting.ts";

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

/** One kind of call after the other, again and again. */
type Call = [name: string, run: (load: Load, round: number) => Promise<unknown>];

const CALLS: readonly Call[] = [
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
const REQUESTS: readonly Call[] = [["gateway", (load) => load.request()]];
const KINDS = new Set([...CALLS, ...REQUESTS].map(([name]) => name));

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
  #recovery: Recovery | undefined;
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

  countedKey(round: number): string {
    return `${this.#settings.name} ${this.#phase} ${round % COUNTED_KEYS}`;
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

  /** Has the driver make its first connection, however long a machine that starts others takes. */
  async connect(query: (text: string) => Promise<unknown>): Promise<void> {
    while (!await query("select 1").then(() => true, () => false));
  }

  /** Calls until it is stopped. */
  async run(): Promise<void> {
    const { callers } = this.#settings;
    const first = (caller: number) => Math.floor(caller * CALLS.length / callers);
    await Promise.all([
      ...Array.from({ length: callers }, (_, each) => this.#repeatCalls(CALLS, first(each))),
      ...Array.from({ length: CLIENTS }, () => this.#repeatCalls(REQUESTS, 0)),
    ]);
  }

  /** Calls for one more circuit until it is stopped. */
  async also(key: string): Promise<void> {
    await this.#repeatCalls([
      ["recordSuccess", () => this.count(key, "successes")],
      ["getState", () => this.store.getState(key)],
    ], 0);
  }

  async #repeatCalls(calls: readonly Call[], first: number): Promise<void> {
    for (let round = first; !this.#isStopped; round++) {
      const [name, run] = calls[round % calls.length]!;
      await this.#measure(name, () => run(this, round));
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
    const watch = outages === undefined ? undefined : new LoopWatch();
    try {
      await run();
    } catch (reason) {
      error = reason;
      isError = true;
    }
    const hasWaited = watch?.end() ?? true;
    const tookMs = performance.now() - start;
    const noiseMs = this.#noise.total() - noise;
    const isDuring = this.#isOut && outages === this.#outages;
    this.#ledger.add({ call, phase, tookMs, noiseMs, error, isError, isDuring, hasWaited });
    if (this.#ledger.phase(this.#phase).answers === this.#announceAt) {
      this.#announceAt = Infinity;
      send({ type: "reached", phase: this.#phase });
    }
    this.#noteRecovery(call, isError, { at: start, noise });
    this.#open.set(phase, this.#open.get(phase)! - 1);
    if (phase !== this.#phase) this.#announceBegan();
  }

  #announceBegan(): void {
    for (const [phase, calls] of this.#open) if (phase !== this.#phase && calls > 0) return;
    send({ type: "began", phase: this.#phase });
  }

  #noteRecovery(call: string, isError: boolean, begun: { at: number; noise: number }): void {
    const recovered = this.#recovery?.note(call, begun, isError || this.#isOut);
    if (recovered === undefined) return;
    this.#recovery = undefined;
    send({ type: "recovered", ...recovered });
  }

  noteOutage(isOut: boolean, cause: unknown): void {
    this.#isOut = isOut;
    if (isOut) {
      this.#outages++;
      this.#ledger.phase(this.#phase).outages++;
    } else {
      this.#recovery?.noteEnd();
    }
    send({ type: "outage", isOut, ...cause !== undefined && { cause: noteOf(cause) } });
  }

  begin(phase: string, answers: number): void {
    this.#phase = phase;
    this.#announceAt = this.#ledger.phase(phase).answers + answers;
    if (this.#isOut) this.#ledger.phase(phase).outages++;
    this.#announceBegan();
  }

  back(): void {
    this.#recovery = new Recovery(KINDS, this.#noise);
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
    send({ type: "report", report: this.#ledger.report() });
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
