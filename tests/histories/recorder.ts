import type { GatewayMessage } from "./messages.ts";
import type { RecordedCall, RecordedInstance, RecordedWatch } from "./recorded.ts";

/** A watch, its place and where it can be continued. */
export interface WatchRecord extends RecordedWatch {
  cursor: string | undefined;
}

/** Collects what gateway processes say. */
export class Recorder {
  readonly calls: RecordedCall[] = [];
  readonly instances: Map<string, RecordedInstance> = new Map();
  /** By the name of a place, whose processes continue its watch. */
  readonly watches: Map<string, WatchRecord> = new Map();
  /** What should not have happened: unexpected errors, watches that ended. */
  readonly problems: string[] = [];
  /** How often each error came. */
  readonly errors: Map<string, number> = new Map();
  outages = 0;
  readonly #open = new Map<string, RecordedCall>();
  readonly #ending = new Set<string>();

  /** Knows an instance from now on. */
  add(instance: RecordedInstance): void {
    this.instances.set(instance.name, instance);
  }

  /** The store of an instance will be closed: its watch may end. */
  expectEnd(name: string): void {
    this.#ending.add(name);
  }

  /** Returns the place of an instance: `w1` of `w1.3`. */
  static placeOf(name: string): string {
    return name.split(".")[0]!;
  }

  /** Notes a message. */
  hear(message: GatewayMessage): void {
    const { name } = message;
    if (message.type === "began") {
      const { id, operation, key, begin } = message;
      const call = {
        instance: name,
        operation,
        key,
        begin,
        end: Infinity,
        fate: "unknown",
      } as const;
      this.#open.set(`${name} ${id}`, call);
    } else if (message.type === "call") {
      this.#hearCall(message);
    } else if (message.type === "change") {
      const { at, key, version, from, to, cause, cursor } = message;
      const watch = this.watchOf(Recorder.placeOf(name));
      watch.changes.push({ at, key, version, from, to, cause });
      watch.cursor = cursor;
    } else if (message.type === "watch ended") {
      if (message.error !== undefined || !this.#ending.has(name)) {
        this.problems.push(`${name}: its watch ended: ${message.error ?? "without an error"}`);
      }
    } else if (message.type === "break") {
      this.#count(`break: ${message.reason}`);
    } else if (message.type === "outage") {
      if (message.isOut) this.outages++;
    } else if (message.type === "closed" && message.error !== undefined) {
      this.instances.get(name)!.hasLostDeferred = true;
      this.#count(`close: ${message.error}`);
    } else if (message.type === "error") {
      this.#count(`onError: ${message.message}`);
    }
  }

  /** The watch of a place. */
  watchOf(place: string): WatchRecord {
    let watch = this.watches.get(place);
    if (watch === undefined) {
      watch = { name: place, changes: [], isComplete: false, cursor: undefined };
      this.watches.set(place, watch);
    }
    return watch;
  }

  /** What its process did not end has an unknown fate. */
  end(): void {
    this.calls.push(...this.#open.values());
    this.#open.clear();
  }

  #hearCall(message: Extract<GatewayMessage, { type: "call" }>): void {
    const { name, id, operation, key, begin, end, fate, shown, error } = message;
    if (id !== undefined) this.#open.delete(`${name} ${id}`);
    const call: RecordedCall = { instance: name, operation, key, begin, end, fate };
    if (error !== undefined) {
      call.error = error;
      this.#count(error);
      if (!/^Store(Unavailable|Timeout|Overload)Error/.test(error)) {
        this.problems.push(`${name}: ${operation}(${key}) failed with ${error}`);
      }
    }
    if (shown === undefined || shown.length === 0) this.calls.push(call);
    else for (const { key, ...circuit } of shown) this.calls.push({ ...call, key, shown: circuit });
  }

  #count(text: string): void {
    const error = text.replace(/127\.0\.0\.1:\d+/, "the server").replace(/out \(.*\)$/, "out");
    this.errors.set(error, (this.errors.get(error) ?? 0) + 1);
  }
}
