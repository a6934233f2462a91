/** A database in memory, with the statements that a cache sends. Each takes effect in one moment. */

import { ABSENT_CIRCUIT, type Circuit, NO_DETAILS, type Round } from "../../src/circuit.ts";
import type { Force } from "../../src/options/force.ts";
import type {
  Deferred,
  Flush,
  FlushResult,
  Instance,
  LogCursor,
  TailPage,
} from "../../src/ports.ts";
import type { PermitOutcome } from "../../src/permit.ts";
import type { CircuitState } from "../../src/types.ts";

/** A circuit from one moment until it changed. */
export interface Moment {
  readonly circuit: Circuit | undefined;
  readonly from: number;
  until: number;
}

export interface InstanceRow {
  flush: number;
  leftOver: readonly string[];
}

/** A transaction of another program: its version is taken, its change is not visible yet. */
export interface OpenChange {
  commit(): void;
  rollBack(): void;
}

/** Circuits, their log and the rows of the instances. `now` is the database's clock. */
export class ModelDatabase {
  readonly rows: Map<string, Circuit> = new Map();
  readonly instances: Map<string, InstanceRow> = new Map();
  /** Everything that the circuits have been. */
  readonly past: Map<string, Moment[]> = new Map();
  /** Rows that another transaction holds. */
  readonly locked: Set<string> = new Set();
  /** Whether another instance is counting. */
  isTokenTaken = false;
  /** How many pages of the log are too long from now on. */
  tooLong = 0;
  /** Called after each change of a circuit. */
  onChange: (key: string) => void = () => {};
  readonly #now: () => number;
  /** The states that the log said last, or that its library wrote. */
  readonly #logged: Map<string, CircuitState> = new Map();
  /** In the order of the commits. */
  readonly #log: { key: string; version: number }[] = [];
  #version = 0;
  #run = 1;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Another run of the server: no cursor of before is good for anything. */
  restart(): void {
    this.#run++;
  }

  /** A copy of the row. */
  read(key: string): Circuit | undefined {
    const row = this.rows.get(key);
    return row && { ...row, readAt: this.#now() };
  }

  recordSuccess(key: string): Circuit {
    return this.#change(key, (row) => ({ ...row, successCount: row.successCount + 1 }));
  }

  /** Makes a circuit suspect, as a record does that finds a rate due. */
  suspect(key: string): void {
    const version = this.#stamp(key);
    const details = { ...NO_DETAILS, suspectAt: this.#now() };
    this.#change(key, (row) => ({ ...row, version, details }));
  }

  recordFailure(key: string): Circuit {
    const lastFailureTime = this.#now();
    return this.#change(
      key,
      (row) => ({ ...row, failureCount: row.failureCount + 1, lastFailureTime }),
    );
  }

  transition(key: string, to: CircuitState): Circuit | undefined {
    const row = this.rows.get(key);
    if (row === undefined && to === "closed") return undefined;
    if (row?.state === to && to !== "closed") return this.read(key);
    return this.#move(key, to);
  }

  /** Begins to move a circuit in a transaction that stays open. */
  begin(key: string, to: CircuitState): OpenChange {
    const version = ++this.#version;
    this.locked.add(key);
    return {
      commit: () => {
        this.locked.delete(key);
        this.#move(key, to, version);
      },
      rollBack: () => void this.locked.delete(key),
    };
  }

  settle(key: string, outcome: PermitOutcome, { version }: Round): Circuit | undefined {
    const to = outcome === "success" ? "closed" : "open";
    return this.rows.get(key)?.version === version ? this.#move(key, to) : this.read(key);
  }

  claim(key: string): { circuit: Circuit | undefined; isAdmitted: boolean } {
    if (this.rows.get(key)?.state !== "open") {
      return { circuit: this.read(key), isAdmitted: false };
    }
    return { circuit: this.#move(key, "half-open"), isAdmitted: true };
  }

  force(key: string, { state, forMs, reason, actor }: Force): Circuit | undefined {
    const row = this.rows.get(key);
    if (state === undefined && row?.forced === undefined) return this.read(key);
    const at = this.#now();
    const until = forMs === undefined ? undefined : at + forMs;
    const forced = state && { state, at, until, reason, by: actor };
    return this.#change(key, (before) => ({ ...before, forced, version: this.#stamp(key) }));
  }

  reset(key: string): Circuit | undefined {
    const row = this.rows.get(key);
    if (row === undefined || isBlank(row)) return this.read(key);
    const version = this.#stamp(key);
    return this.#change(key, () => ({ ...ABSENT_CIRCUIT, key, version, zeroedVersion: version }));
  }

  /** Another program moves a circuit by plain SQL, which takes no version. */
  moveByOthers(key: string, state: CircuitState): void {
    this.rows.set(key, { ...this.rows.get(key)!, state });
    this.#note(key);
  }

  /** Removes the rows of closed circuits without failures. */
  prune(): number {
    const idle = [...this.rows.values()].filter(({ state, failureCount, forced }) =>
      state === "closed" && failureCount === 0 && forced === undefined
    );
    for (const { key } of idle) {
      this.rows.delete(key);
      this.#note(key);
    }
    return idle.length;
  }

  tail(after: LogCursor | undefined, limit: number): TailPage {
    const run = String(this.#run);
    const cursor = { snapshot: String(this.#log.length), version: this.#version, run };
    const isBreak = after !== undefined && after.run !== run;
    const from = after === undefined || isBreak ? this.#log.length : Number(after.snapshot);
    const changed = new Set(this.#log.slice(from).map(({ key }) => key));
    if (after !== undefined && this.tooLong > 0 || changed.size > limit) {
      this.tooLong--;
      return { cursor, isBreak, isTooLong: true, circuits: [], absent: [] };
    }
    const unlogged = after === undefined ? [] : this.#unlogged().slice(0, limit);
    for (const key of unlogged) this.#notice(key);
    const keys = [...new Set([...changed, ...unlogged])];
    const circuits = keys.flatMap((key) => this.read(key) ?? []);
    const absent = keys.filter((key) => !this.rows.has(key));
    return { cursor, isBreak, isTooLong: false, circuits, absent };
  }

  register({ id }: Instance): void {
    if (!this.instances.has(id)) this.instances.set(id, { flush: 0, leftOver: [] });
  }

  flush({ id }: Instance, { number, deferred }: Flush): FlushResult {
    const row = this.instances.get(id);
    if (row === undefined) return { outcome: "unknown instance" };
    if (row.flush >= number) return { outcome: "done", leftOver: row.leftOver };
    if (this.isTokenTaken) return { outcome: "busy" };
    const isFree = ({ key }: Deferred) => this.rows.has(key) && !this.locked.has(key);
    for (const each of deferred.filter(isFree)) this.#count(each);
    row.flush = number;
    row.leftOver = deferred.filter((each) => !isFree(each)).map(({ key }) => key);
    return { outcome: "done", leftOver: row.leftOver };
  }

  findFlush({ id }: Instance, { number }: Flush): FlushResult {
    const row = this.instances.get(id);
    if (row === undefined) return { outcome: "unknown instance" };
    return row.flush >= number ? { outcome: "done", leftOver: row.leftOver } : { outcome: "busy" };
  }

  addCircuits(keys: readonly string[]): void {
    for (const key of keys) if (!this.rows.has(key)) this.#change(key, (row) => row);
  }

  countDeferred(deferred: readonly Deferred[]): void {
    this.addCircuits(deferred.map(({ key }) => key));
    for (const each of deferred) this.#count(each);
  }

  #count({ key, successes, version }: Deferred): void {
    if (this.rows.get(key)!.zeroedVersion > version) return;
    this.#change(key, (row) => ({ ...row, successCount: row.successCount + successes }));
  }

  /** What {@linkcode moveByOthers} did and no instance has noticed. */
  #unlogged(): string[] {
    return [...this.rows.values()]
      .filter(({ key, state, forced }) => (forced?.state ?? state) !== this.#logged.get(key))
      .map(({ key }) => key);
  }

  /** Logs it, unless the row is locked. */
  #notice(key: string): void {
    if (this.locked.has(key)) return;
    const version = this.#stamp(key);
    this.#change(key, (row) => ({ ...row, version }));
  }

  /** A new version for a circuit, which stands in the log from the same moment. */
  #stamp(key: string, version = ++this.#version): number {
    this.#log.push({ key, version });
    return version;
  }

  #move(key: string, to: CircuitState, taken?: number): Circuit {
    const version = this.#stamp(key, taken);
    return this.#change(key, (row) => ({
      ...row,
      state: to,
      version,
      lastStateChange: this.#now(),
      ...to !== "open" && { successCount: 0, zeroedVersion: version },
      ...to === "closed" && { failureCount: 0 },
    }));
  }

  #change(key: string, change: (row: Circuit) => Circuit): Circuit {
    const row = change(this.rows.get(key) ?? { ...ABSENT_CIRCUIT, key });
    this.rows.set(key, row);
    this.#logged.set(key, row.forced?.state ?? row.state);
    this.#note(key);
    return this.read(key)!;
  }

  #note(key: string): void {
    const past = this.past.get(key) ?? [{ circuit: undefined, from: -Infinity, until: Infinity }];
    past.at(-1)!.until = this.#now();
    past.push({ circuit: this.read(key), from: this.#now(), until: Infinity });
    this.past.set(key, past);
    this.onChange(key);
  }
}

/** Whether a row says no more than its version. */
function isBlank({ state, failureCount, successCount, forced }: Circuit): boolean {
  return state === "closed" && failureCount + successCount === 0 && forced === undefined;
}
