/**
 * A gateway process: a real Stoma gateway, and other callers, on one store with a cache, with rates, and
 * with local answers in outages. It ends with its input, so that it never outlives its test. Nothing
 * here catches a rejection that no caller awaits.
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { lines } from "../../scripts/demo/lines.ts";
import { openDriver } from "../faults/drivers.ts";
import { type Call, MeasuredCalls } from "../faults/measured_calls.ts";
import { Noise } from "../faults/noise.ts";
import { loadStoma, type StomaGateway } from "../support/stoma.ts";
import { Acts } from "./acts.ts";
import { ListedVersions, WatchRecord } from "./followers.ts";
import type { GatewayCommand, GatewayMessage, GatewayReport, GatewaySettings } from "./messages.ts";
import { MAX_STALENESS_MS } from "./topology.ts";

/** The rules of every gateway. Failures alone open a circuit soon. */
const RULES = {
  failureRateThreshold: 0.5,
  windowMs: 10_000,
  minimumThroughput: 4,
  resetTimeoutMs: 60_000,
};

const CONNECTIONS = 4;
const PAUSE_MS = 20;
const COUNT_WITHIN_MS = 1000;

function send(message: GatewayMessage): void {
  console.log(JSON.stringify(message));
}

class Gateway {
  readonly calls: MeasuredCalls;
  readonly acts: Acts;
  readonly store: PostgresCircuitBreakerStore;
  readonly watch = new WatchRecord();
  readonly #settings: GatewaySettings;
  readonly #listed = new ListedVersions();
  readonly #running: Promise<void>[] = [];
  readonly #states = new Map<string, string>();
  readonly #stoma: StomaGateway;
  #rest: "asked" | "resting" | "ending" | undefined;
  /** How many circuits were opened and closed again, and how many were forced. */
  #trips = 0;
  #forces = 0;
  /** Whether the database has opened the present circuit; `undefined` where that is closed. */
  #tripped: { isCertain: boolean } | undefined;

  constructor(
    settings: GatewaySettings,
    noise: Noise,
    openStore: (gateway: Gateway) => PostgresCircuitBreakerStore,
    openStoma: (store: PostgresCircuitBreakerStore) => StomaGateway,
  ) {
    this.#settings = settings;
    const kinds = new Set(this.#workloads().flat().map(([name]) => name));
    this.calls = new MeasuredCalls({ kinds, noise, pauseMs: PAUSE_MS, send });
    this.acts = new Acts(this.calls, settings.timeoutMs);
    this.store = openStore(this);
    this.#stoma = openStoma(this.store);
  }

  /** Begins to call and to watch. */
  start(): void {
    this.#running.push(this.watch.run(this.store));
  }

  /** Begins to call. */
  call(): void {
    for (const calls of this.#workloads()) this.#running.push(this.calls.repeat(calls, 0));
  }

  /** What each caller does, one call after the other. */
  #workloads(): Call[][] {
    return [
      [["request", () => this.request()]],
      [["request", () => this.request()]],
      [["count failure", () => this.#count("failures")]],
      [["trip", () => this.#trip()]],
      [["force", () => this.#force()]],
      [
        ["count success", () => this.#count("successes")],
        ["list", () => this.#listed.look(this.store, `${this.#settings.name} `)],
        ["peek", () => this.store.peek([this.#keyOf("failures"), "nothing"])],
      ],
      [["follow", () => this.#follow()]],
    ];
  }

  #keyOf(what: string): string {
    return `${this.#settings.name} ${this.calls.phase} ${what}`;
  }

  /** One request to the gateway, whose upstream is well. */
  async request(): Promise<void> {
    const response = await this.#stoma.app.request("/orders");
    await response.body?.cancel();
    this.calls.ledger.respond(response.status);
  }

  async #count(counter: "failures" | "successes"): Promise<void> {
    const key = this.#keyOf(counter);
    const { ledger } = this.calls;
    try {
      const { isCertain } = await this.acts.ask(() =>
        counter === "failures" ? this.store.recordFailure(key) : this.store.recordSuccess(key)
      );
      ledger.count(key, counter, !isCertain, undefined);
    } catch (error) {
      ledger.count(key, counter, true, error);
      throw error;
    }
  }

  /** Records failures until the circuit opens, and then closes it as an operator's program does. */
  async #trip(): Promise<void> {
    const key = `${this.#settings.name} trip ${this.#trips}`;
    if (this.#tripped === undefined) {
      const { answer, isCertain } = await this.acts.ask(() => this.store.recordFailure(key));
      if (answer.state !== "open") return;
      this.acts.note("trip", key, isCertain);
      this.#tripped = { isCertain };
      return;
    }
    // Closing is a change only where the circuit is open in the database.
    const wasCertain = this.#tripped.isCertain;
    this.#tripped = undefined;
    this.#trips++;
    const { answer, isCertain } = await this.acts.ask(() => this.store.transition(key, "closed"));
    this.acts.note("manual", key, wasCertain && isCertain && answer.state === "closed");
  }

  /** Forces a circuit, and releases every second one. An outage is always an error here. */
  async #force(): Promise<void> {
    const number = this.#forces++;
    const key = `${this.#settings.name} force ${number >> 1}`;
    if (number % 2 === 0) {
      await this.store.forceOpen(key, { reason: "a drill" });
      this.acts.note("force", key, true);
    } else if (this.acts.acknowledged.some((each) => each.act === "force" && each.key === key)) {
      await this.store.release(key);
      this.acts.note("release", key, true);
    }
  }

  /** Reads the followed circuits, and says so where one has changed. */
  async #follow(): Promise<void> {
    const { followed, resting } = this.#settings;
    if (this.#rest === "asked") {
      this.#rest = "resting";
      send({ type: "resting" });
    } else if (this.#rest === "ending" && !this.calls.isOut) {
      this.#rest = undefined;
    }
    let hasChanged = false;
    await Promise.all((this.#rest ? followed : [...followed, ...resting]).map(async (key) => {
      const { state } = await this.store.getState(key);
      if (this.#states.get(key) === state) return;
      hasChanged = true;
      this.#states.set(key, state);
    }));
    if (!hasChanged) return;
    send({ type: "followed", at: Date.now(), states: Object.fromEntries(this.#states) });
  }

  /** Leaves the resting circuits alone from the next look on. */
  rest(): void {
    this.#rest = "asked";
  }

  /** The database is back. */
  back(): void {
    if (this.#rest !== undefined) this.#rest = "ending";
    this.calls.back();
  }

  noteOutage(isOut: boolean, cause: unknown): void {
    // With asynchronous replication the next server may have lost changes.
    if (!this.#settings.isSynchronous) this.#listed.forget();
    this.calls.noteOutage(isOut, cause);
  }

  /** Ends all calls, but not the watch. */
  async quiet(): Promise<void> {
    this.calls.stop();
    await Promise.all(this.#running.slice(1));
    send({ type: "quiet" });
  }

  async report(): Promise<void> {
    const closing = await this.store.close().then(() => undefined, String);
    await Promise.all(this.#running);
    const report: GatewayReport = {
      ...this.calls.ledger.report(),
      acknowledged: this.acts.acknowledged,
      unknownActs: this.acts.unknown,
      watched: this.watch.watched,
      breaks: this.watch.breaks,
      disorder: [...this.watch.disorder, ...this.#listed.disorder],
      closing,
    };
    send({ type: "report", report });
  }
}

async function serve(settings: GatewaySettings, commands: AsyncIterable<string>): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const { circuitBreaker, createGateway } = await loadStoma(settings.stomaPath);
  const { driver, databaseUrl, timeoutMs, isPooled, name } = settings;
  const { client } = cleanup.use(
    openDriver(driver, databaseUrl, CONNECTIONS, timeoutMs + 200, !isPooled),
  );
  const upstream = cleanup.use(
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("ok")),
  );
  const noise = cleanup.use(new Noise());
  const gateway = new Gateway(
    settings,
    noise,
    (gateway) =>
      new PostgresCircuitBreakerStore(gateway.acts.through(client), {
        ...RULES,
        timeoutMs,
        instanceId: name,
        onOutage: "local",
        maxStalenessMs: MAX_STALENESS_MS,
        countWithinMs: COUNT_WITHIN_MS,
        onOutageChange: ({ isOut, cause }) => gateway.noteOutage(isOut, cause),
      }),
    (store) =>
      createGateway({
        routes: [{
          path: "/*",
          pipeline: {
            policies: [
              circuitBreaker({ ...RULES, failureThreshold: 5, key: () => "orders", store }),
            ],
            upstream: { type: "url", target: `http://127.0.0.1:${upstream.addr.port}` },
          },
        }],
      }),
  );
  cleanup.defer(() => gateway.store.close());
  await gateway.request();
  gateway.start();
  send({ type: "ready" });

  let isCalling = false;
  for await (const line of commands) {
    const command: GatewayCommand = JSON.parse(line);
    // Nothing is called while other processes still start.
    if (!isCalling) gateway.call();
    isCalling = true;
    if (command.type === "phase") gateway.calls.begin(command.phase, command.answers);
    else if (command.type === "back") gateway.back();
    else if (command.type === "rest") gateway.rest();
    else if (command.type === "quiet") await gateway.quiet();
    else {
      await gateway.watch.until(command.marker);
      await gateway.report();
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
