import { migrate, PostgresCircuitBreakerStore } from "../../mod.ts";
import type { Driver } from "../faults/messages.ts";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { createDatabase } from "../support/database.ts";
import type { PostgresServer } from "../support/postgres_server.ts";
import { until } from "../support/until.ts";
import { installAudit, observationOf, readLog, readRows } from "./audit.ts";
import { GatewayProcess } from "./gateway_process.ts";
import { clock, type GatewaySettings, PROBING } from "./messages.ts";
import type { DeliveredChange, Observation, RecordedRun } from "./recorded.ts";
import { Recorder } from "./recorder.ts";
import { Session } from "./session.ts";

const TIMEOUT_MS = 800;
const OBSERVED_EVERY_MS = 10;
const PAGE = 1000;

/** The circuit whose opening is the last change of a run. */
const LAST_KEY = "z last";

/** A place for one gateway process after the other. */
export interface Place {
  readonly name: string;
  readonly proxy: TcpProxy;
  readonly settings: Omit<GatewaySettings, "name" | "after" | "seed">;
  process: GatewayProcess;
  /** The instance of now. */
  instance: string;
  generation: number;
  /** Whether a fault is at work on its process. */
  isBusy: boolean;
}

/** What a place differs in. */
interface Casting {
  driver: Driver;
  maxStalenessMs?: number;
  countWithinMs?: number;
  isProbing?: boolean;
  isWatching?: boolean;
}

const CAST: readonly Casting[] = [
  { driver: "postgres.js", isWatching: true },
  { driver: "node-postgres", isProbing: false },
  { driver: "postgres.js", maxStalenessMs: 100, isWatching: true },
  { driver: "node-postgres", maxStalenessMs: 200, countWithinMs: 500 },
  { driver: "node-postgres", maxStalenessMs: 1000, isWatching: true },
  { driver: "postgres.js", maxStalenessMs: 500, isProbing: false },
];

/** A database, gateway processes that call it through proxies, and everything that is recorded. */
export class Scene implements AsyncDisposable {
  readonly server: PostgresServer;
  readonly url: string;
  readonly database: string;
  readonly places: Place[] = [];
  readonly recorder: Recorder = new Recorder();
  readonly observations: Observation[] = [];
  readonly crashes: RecordedRun["crashes"] = [];
  /** The administrator's connections, past all proxies. */
  readonly session: Session;
  readonly #random: () => number;
  #cleanup: AsyncDisposableStack;
  #isOver = false;
  #isRestarting = false;
  #observing: Promise<void> = Promise.resolve();

  private constructor(
    server: PostgresServer,
    database: { url: string; name: string },
    random: () => number,
    cleanup: AsyncDisposableStack,
  ) {
    this.server = server;
    this.url = database.url;
    this.database = database.name;
    this.#random = random;
    this.#cleanup = cleanup;
    this.session = cleanup.use(new Session(database.url, "administrator", 3));
  }

  /** Starts everything. */
  static async open(server: PostgresServer, random: () => number): Promise<Scene> {
    await using cleanup = new AsyncDisposableStack();
    const database = cleanup.use(await createDatabase(server.url));
    const scene = new Scene(server, database, random, cleanup);
    await migrate(scene.session.client);
    await installAudit(scene.session);
    scene.#observing = scene.#observe();
    cleanup.defer(() => scene.#end());
    for (const [at, casting] of CAST.entries()) {
      const proxy = cleanup.use(TcpProxy.start(database.url));
      const settings: Place["settings"] = {
        driver: casting.driver,
        databaseUrl: proxy.urlOf(database.url),
        timeoutMs: TIMEOUT_MS,
        maxStalenessMs: casting.maxStalenessMs ?? 0,
        countWithinMs: casting.countWithinMs ?? 1500,
        isProbing: casting.isProbing ?? true,
        isWatching: casting.isWatching ?? false,
        callers: 5,
        pauseMs: 40,
      };
      const place = {
        name: `i${at}`,
        proxy,
        settings,
        instance: "",
        generation: 0,
        isBusy: false,
      } as Place;
      await scene.start(place);
      scene.places.push(place);
      cleanup.defer(() => place.process[Symbol.asyncDispose]());
    }
    scene.#cleanup = cleanup.move();
    return scene;
  }

  /** Starts a process in a place, whose watch goes on where that of the one before ended. */
  async start(place: Place): Promise<void> {
    const settings = this.#next(place);
    place.process = await GatewayProcess.start(settings, (message) => this.recorder.hear(message));
  }

  /** Has the process of a place close its store and open another one. */
  async reopen(place: Place): Promise<void> {
    const before = place.instance;
    // The watch goes on where it was when the store was closed.
    await place.process.send({ type: "close" });
    await place.process.until("closed", before);
    await place.process.send({ type: "open", settings: this.#next(place) });
    await place.process.until("ready", place.instance);
  }

  /** Kills the server and starts it again, unless it is being done. */
  async restartServer(): Promise<void> {
    if (this.#isRestarting) return;
    this.#isRestarting = true;
    await this.crash(async () => {
      const { exited } = this.server;
      this.server.signal("SIGKILL");
      await exited;
      await this.server.restart();
    });
    this.#isRestarting = false;
  }

  /** Lets processes of the server crash, and waits until it answers again. */
  async crash(happen: () => Promise<void> | void): Promise<void> {
    const from = clock();
    await happen();
    await this.untilUp();
    this.crashes.push({ from, to: clock() });
  }

  /** The settings of the next instance of a place. */
  #next(place: Place): GatewaySettings {
    place.generation++;
    place.instance = `${place.name}.${place.generation}`;
    const { driver, maxStalenessMs, isProbing, isWatching } = place.settings;
    this.recorder.add({
      name: place.instance,
      boundMs: maxStalenessMs,
      halfOpenMax: isProbing ? PROBING.halfOpenMax : undefined,
      resolvesEarly: driver === "postgres.js",
      isStepped: false,
      hasLostDeferred: false,
    });
    const after = isWatching ? this.recorder.watchOf(place.name).cursor : undefined;
    const seed = Math.floor(this.#random() * 2 ** 31);
    return { ...place.settings, name: place.instance, seed, ...after && { after } };
  }

  /** Another connection to the database, past all proxies. */
  connect(application: string): Session {
    return new Session(this.url, application);
  }

  /** Waits until the server answers. */
  async untilUp(): Promise<void> {
    await until(() => this.session.query("select 1").then(() => true, () => false), 30_000);
  }

  /** Ends all calls, has all watches deliver the last change, and closes all stores. */
  async finish(): Promise<RecordedRun> {
    const { recorder, places } = this;
    await this.untilUp();
    await Promise.all(places.map(async ({ process, instance }) => {
      await process.send({ type: "stop" });
      await process.until("stopped", instance);
    }));
    await using store = new PostgresCircuitBreakerStore(this.session.client);
    await this.#settle(store);
    await until(() => store.transition(LAST_KEY, "open").then(() => true, () => false), 30_000);
    for (const { name, settings } of places) {
      if (!settings.isWatching) continue;
      const watch = recorder.watchOf(name);
      await until(() => watch.changes.some(({ key }) => key === LAST_KEY), 10_000)
        .catch(() => recorder.problems.push(`${name}: its watch did not deliver the last change`));
      watch.isComplete = true;
    }
    await Promise.all(places.map(async ({ process, instance }) => {
      recorder.expectEnd(instance);
      await process.send({ type: "end" });
      const { code, errors } = await process.ended;
      if (code !== 0) recorder.problems.push(`${instance} ended with ${code}: ${errors}`);
    }));
    recorder.end();
    const history = await readHistory(store);
    this.#isOver = true;
    await this.#observing;
    return {
      instances: [...recorder.instances.values()],
      calls: recorder.calls,
      observations: this.observations,
      crashes: this.crashes,
      watches: [...recorder.watches.values()],
      rows: await readRows(this.session),
      log: await readLog(this.session),
      history,
    };
  }

  /**
   * Waits for the end of states that were forced for a while, and reads every circuit, until the log has
   * what others did by plain SQL and what ended by its time. Nothing changes after that.
   */
  async #settle(store: PostgresCircuitBreakerStore): Promise<void> {
    const unlogged = async () => {
      const rows = await this.session.query<{ key: string }>(`
        with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now)
        select key from stoma_circuit_breakers, clock where forced_until > now or logged_state <>
          case when forced_state is not null and coalesce(now < forced_until, true)
            then forced_state else state end`);
      return rows.map(({ key }) => key);
    };
    await until(async () => {
      const keys = await unlogged();
      if (keys.length > 0) await store.peek(keys.map((storedKey) => ({ storedKey })));
      return keys.length === 0;
    }, 10_000).catch(async () => {
      this.recorder.problems.push(`not in the log after they were read: ${await unlogged()}`);
    });
  }

  /** Asks for a snapshot again and again: what it shows as committed was visible to every reader. */
  async #observe(): Promise<void> {
    await using session = this.connect("observer");
    while (!this.#isOver) {
      try {
        const [row] = await session.query<{ snapshot: string }>(
          "select pg_current_snapshot()::text as snapshot",
        );
        this.observations.push(observationOf(row!.snapshot, clock()));
      } catch {
        // The server is away: the next snapshot shows what was committed meanwhile.
      }
      await new Promise((resolve) => setTimeout(resolve, OBSERVED_EVERY_MS));
    }
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    await this.#observing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

async function readHistory(store: PostgresCircuitBreakerStore): Promise<DeliveredChange[]> {
  const found: DeliveredChange[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await store.history({ limit: PAGE, ...after !== undefined && { after } });
    for (const { at, key, version, from, to, cause } of page) {
      found.push({ at, key, version, from, to, cause });
    }
    if (page.length === 0) return found;
    after = page.at(-1)!.cursor;
  }
}
