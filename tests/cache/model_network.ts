/** How instances reach a model database: each statement waits until the test lets it go on. */

import { assert } from "@std/assert";
import { CircuitCache } from "../../src/cache/circuit_cache.ts";
import type { CircuitCacheOptions, Origin } from "../../src/cache/origin.ts";
import type { Circuit } from "../../src/circuit.ts";
import type { Answer, Source } from "../../src/ports.ts";
import type { Call } from "../../src/time/call.ts";
import { Deadlines } from "../../src/time/deadlines.ts";
import type { Timers } from "../../src/time/timers.ts";
import type { CircuitState } from "../../src/types.ts";
import { ModelDatabase } from "./model_database.ts";

/** The time of the database when a test begins. */
export const EPOCH = 1_800_000_000_000;

export type Method = Exclude<keyof Origin, "isOut">;

/** A statement in flight. First it is executed, then it is answered; or it is lost. */
export interface Statement {
  readonly method: Method;
  readonly keys: readonly string[];
  isExecuted: boolean;
  execute(): void;
  answer(): void;
  lose(): void;
}

/** Lets everything run that waits for nothing. */
export async function settle(): Promise<void> {
  for (let step = 0; step < 40; step++) await null;
}

/** A clock that the test moves, and its timers. */
export class VirtualTimers implements Timers {
  readonly canJoin: boolean = true;
  #now = 0;
  readonly #timers = new Set<{ run: () => void; at: number }>();

  now(): number {
    return this.#now;
  }

  start(run: () => void, delayMs: number): unknown {
    const timer = { run, at: this.#now + delayMs };
    this.#timers.add(timer);
    return timer;
  }

  stop(timer: unknown): void {
    this.#timers.delete(timer as { run: () => void; at: number });
  }

  run(work: () => Promise<unknown>): void {
    void work();
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.start(resolve, ms));
  }

  get size(): number {
    return this.#timers.size;
  }

  /** Moves the clock while the process does not run: no timer fires yet. */
  stall(ms: number): void {
    this.#now += ms;
  }

  /** Moves the clock, and runs each timer at its time. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.at);
      this.#timers.delete(next);
      next.run();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** A test's database, clock and instances. */
export class Scene implements AsyncDisposable {
  readonly timers: VirtualTimers = new VirtualTimers();
  readonly database: ModelDatabase = new ModelDatabase(() => EPOCH + this.timers.now());
  readonly #instances: ModelInstance[] = [];

  open(options: Partial<CircuitCacheOptions> = {}): ModelInstance {
    const instance = new ModelInstance(this, `instance ${this.#instances.length}`, options);
    this.#instances.push(instance);
    return instance;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const instance of this.#instances) await instance.dispose();
  }
}

/** An instance with a cache, and its statements in flight. */
export class ModelInstance {
  readonly cache: CircuitCache;
  readonly inFlight: Statement[] = [];
  /** The methods that were sent. */
  readonly sent: Method[] = [];
  readonly errors: unknown[] = [];
  /** Statements of these methods are answered at once. */
  readonly atOnce: Set<Method> = new Set();
  isOut = false;
  source: Source = "database";
  listener: (() => void) | undefined;
  readonly deadlines: Deadlines = new Deadlines(10_000);
  readonly #scene: Scene;

  constructor(scene: Scene, id: string, options: Partial<CircuitCacheOptions>) {
    this.#scene = scene;
    this.cache = new CircuitCache(this.#origin(id), {
      instance: { id, label: id, boundMs: 1000 },
      maxStalenessMs: 1000,
      countWithinMs: 10_000,
      hasFailureWindow: false,
      deadlines: this.deadlines,
      now: undefined,
      clock: () => scene.timers.now(),
      timers: scene.timers,
      random: () => 0.5,
      onError: (error) => this.errors.push(error),
      feed: {
        canListen: true,
        subscribe: (listener) => {
          this.listener = listener;
          return () => void (this.listener = undefined);
        },
      },
      ...options,
    });
  }

  call(): Call {
    return this.deadlines.begin();
  }

  async read(key: string): Promise<Circuit | undefined> {
    return (await this.cache.read(this.call(), key)).circuit;
  }

  async recordSuccess(key: string): Promise<Circuit> {
    return (await this.cache.recordSuccess(this.call(), key)).circuit;
  }

  async recordFailure(key: string): Promise<Circuit> {
    return (await this.cache.recordFailure(this.call(), key)).circuit;
  }

  async transition(key: string, to: CircuitState): Promise<Circuit | undefined> {
    return (await this.cache.transition(this.call(), key, to)).circuit;
  }

  async reset(key: string): Promise<Circuit | undefined> {
    const act = { reason: undefined, actor: undefined };
    return (await this.cache.reset(this.call(), key, act)).circuit;
  }

  /** Executes and answers everything that is in flight, and what follows from it. */
  async drain(): Promise<void> {
    await settle();
    while (this.inFlight.length > 0) {
      const [statement] = this.inFlight;
      if (!statement!.isExecuted) statement!.execute();
      statement!.answer();
      await settle();
    }
  }

  /** Waits for a call while everything that is in flight is answered. */
  async done<Result>(call: Promise<Result>): Promise<Result> {
    call.catch(() => {});
    await this.drain();
    return await call;
  }

  find(method: Method): Statement {
    const statement = this.inFlight.find((each) => each.method === method);
    assert(statement !== undefined, `no ${method} is in flight`);
    return statement;
  }

  /** The database executes the first statement of a method. */
  async execute(method: Method): Promise<void> {
    await settle();
    this.find(method).execute();
  }

  /** The first statement of a method is answered. It is executed first, unless it was already. */
  async answer(method: Method): Promise<void> {
    await settle();
    const statement = this.find(method);
    if (!statement.isExecuted) statement.execute();
    statement.answer();
    await settle();
  }

  async lose(method: Method): Promise<void> {
    await settle();
    this.find(method).lose();
    await settle();
  }

  /** An interval passes, and everything that it sends is answered. */
  async interval(): Promise<void> {
    await this.#scene.timers.advance(950);
    await this.drain();
  }

  /** Reads a circuit in two intervals, so that it is in regular use. */
  async useRegularly(key: string): Promise<void> {
    await this.done(this.read(key));
    for (let interval = 0; interval < 2; interval++) {
      await this.done(this.read(key));
      await this.interval();
    }
  }

  async dispose(): Promise<void> {
    this.isOut = false;
    this.database.locked.clear();
    this.database.isTokenTaken = false;
    await this.done(this.cache.end(this.call()));
    this.deadlines.stop();
  }

  get database(): ModelDatabase {
    return this.#scene.database;
  }

  #origin(id: string): Origin {
    const { database } = this;
    const send = <Result>(method: Method, keys: readonly string[], run: () => Result) =>
      this.#send(method, keys, run);
    const answer = async <Found extends Circuit | undefined>(
      method: Method,
      key: string,
      run: () => Found,
    ): Promise<Answer<Found>> => {
      const { source } = this;
      return { circuit: await send(method, [key], run), source };
    };
    const isOut = () => this.isOut;
    return {
      get isOut() {
        return isOut();
      },
      read: (_, key) => answer("read", key, () => database.read(key)),
      recordSuccess: (_, key) => answer("recordSuccess", key, () => database.recordSuccess(key)),
      recordFailure: (_, key) => answer("recordFailure", key, () => database.recordFailure(key)),
      transition: (_, key, to) => answer("transition", key, () => database.transition(key, to)),
      settle: (_, key, result, round) =>
        answer("settle", key, () => database.settle(key, result, round)),
      force: (_, key, force) => answer("force", key, () => database.force(key, force)),
      reset: (_, key) => answer("reset", key, () => database.reset(key)),
      claim: async (_, key) => ({
        ...await send("claim", [key], () => database.claim(key)),
        source: this.source,
      }),
      // Voting is for stores with a quorum, and changes a circuit as any other write does.
      vote: (_, key) => answer("vote", key, () => database.recordFailure(key)),
      withdraw: (_, keys) => send("withdraw", keys, () => {}),
      readMany: (_, keys) =>
        send("readMany", [], () => keys.flatMap((key) => database.read(key) ?? [])),
      list: () =>
        send(
          "list",
          [],
          () =>
            [...database.rows.keys()].map((key) => ({ ...database.read(key)!, refusedCount: 0 })),
        ),
      prune: () => send("prune", [], () => database.prune()),
      tail: (_, after, limit) => send("tail", [], () => database.tail(after, limit)),
      readKnown: (_, keys) =>
        send("readKnown", keys, () => keys.flatMap((key) => database.read(key) ?? [])),
      register: (_, instance) => send("register", [], () => database.register(instance)),
      flush: (_, instance, flush) => {
        assert(instance.id === id);
        return send("flush", [], () => database.flush(instance, flush));
      },
      findFlush: (_, instance, flush) =>
        send("findFlush", [], () => database.findFlush(instance, flush)),
      addCircuits: (_, keys) => send("addCircuits", keys, () => database.addCircuits(keys)),
      countDeferred: (_, deferred) =>
        send("countDeferred", deferred.map(({ key }) => key), () => {
          database.countDeferred(deferred);
        }),
    };
  }

  #send<Result>(method: Method, keys: readonly string[], run: () => Result): Promise<Result> {
    this.sent.push(method);
    assert(
      !this.isOut || this.source === "local",
      `${method} was sent although the database is out`,
    );
    if (this.atOnce.has(method)) return Promise.resolve(run());
    return new Promise((resolve, reject) => {
      let result: Result | undefined;
      const end = (settleCall: () => void) => {
        this.inFlight.splice(this.inFlight.indexOf(statement), 1);
        settleCall();
      };
      const statement: Statement = {
        method,
        keys,
        isExecuted: false,
        execute: () => {
          result = run();
          statement.isExecuted = true;
        },
        answer: () => end(() => resolve(result as Result)),
        lose: () => end(() => reject(new Error("lost"))),
      };
      this.inFlight.push(statement);
    });
  }
}
