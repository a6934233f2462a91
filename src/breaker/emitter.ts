import {
  CALLBACKS,
  type CircuitBreakerCallbacks,
  type CircuitBreakerEventMap,
  type CircuitBreakerEventType,
  type CircuitBreakerListener,
  type ListenerOptions,
} from "./events.ts";

type Type = CircuitBreakerEventType;
type Detail = CircuitBreakerEventMap[Type];
type Listener = CircuitBreakerListener<Type>;

/** A listener as the runtime's target calls it. */
interface Registered {
  readonly call: (event: object) => void;
  /** Stops its count. Done once, it does nothing. */
  readonly release: () => void;
}

class DetailedEvent extends Event {
  readonly detail: Detail;

  constructor(type: Type, detail: Detail) {
    super(type);
    this.detail = detail;
  }
}

/**
 * Emits the events of one breaker: to its callbacks, and to the listeners of its `EventTarget`. It counts
 * listeners, so that nothing is made for an event without one. What a listener throws harms nothing: as
 * it is, the runtime would end the process.
 */
export class Emitter {
  readonly #target: EventTarget;
  readonly #callbacks: CircuitBreakerCallbacks;
  /** How many callbacks and listeners each event has. */
  readonly #counts = new Map<string, number>();
  /** By the event, then by the listener as it was given. */
  readonly #registered = new Map<string, Map<unknown, Registered>>();
  /** Whether ends of calls have to be reported. */
  hearsCalls = false;

  constructor(target: EventTarget, callbacks: CircuitBreakerCallbacks) {
    this.#target = target;
    this.#callbacks = { ...callbacks };
    for (const [type, name] of Object.entries(CALLBACKS)) {
      if (callbacks[name] !== undefined) this.#count(type, 1);
    }
  }

  /** Whether an event has a callback or a listener. */
  has(type: Type): boolean {
    return (this.#counts.get(type) ?? 0) > 0;
  }

  /** Emits an event. Never throws. */
  emit<Emitted extends Type>(type: Emitted, detail: CircuitBreakerEventMap[Emitted]): void {
    const callback = this.#callbacks[CALLBACKS[type]] as ((detail: Detail) => unknown) | undefined;
    if (callback !== undefined) this.#run(type, detail.key, () => callback(detail));
    if (!this.#registered.get(type)?.size) return;
    this.#target.dispatchEvent(new DetailedEvent(type, detail));
  }

  /** Reports what no caller sees. */
  fail(key: string, error: unknown): void {
    if (this.has("error")) this.emit("error", { key, error });
  }

  /** Adds a listener, as `EventTarget` does. */
  add(type: string, listener: Listener | null, options: ListenerOptions | boolean): void {
    if (listener === null || listener === undefined) return;
    // As for every `EventTarget`, null stands for no options.
    const { once = false, signal } = typeof options === "boolean" ? {} : options ?? {};
    if (signal?.aborted) return;
    const registered = this.#registered.get(type) ?? new Map<unknown, Registered>();
    this.#registered.set(type, registered);
    if (registered.has(listener)) return;
    const remove = () => this.remove(type, listener);
    const call = (event: object) => {
      if (once) remove();
      const detail = (event as Partial<DetailedEvent>).detail;
      this.#run(type, detail?.key ?? "", () => {
        const given = event as unknown as Parameters<
          Extract<Listener, (event: never) => unknown>
        >[0];
        return typeof listener === "function"
          ? listener.call(this.#target, given)
          : listener.handleEvent(given);
      });
    };
    signal?.addEventListener("abort", remove);
    registered.set(listener, {
      call,
      release: () => signal?.removeEventListener("abort", remove),
    });
    this.#count(type, 1);
    EventTarget.prototype.addEventListener.call(this.#target, type, call);
  }

  /** Removes a listener, as `EventTarget` does. */
  remove(type: string, listener: Listener | null): void {
    const registered = this.#registered.get(type);
    const found = registered?.get(listener);
    if (registered === undefined || found === undefined) return;
    registered.delete(listener);
    found.release();
    this.#count(type, -1);
    EventTarget.prototype.removeEventListener.call(this.#target, type, found.call);
  }

  #count(type: string, change: number): void {
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + change);
    this.hearsCalls = this.has("success") || this.has("failure") || this.has("ignored");
  }

  /** Calls a listener, which can be an `async` function too: a rejection would end the process. */
  #run(type: string, key: string, listener: () => unknown): void {
    const onFailure = (error: unknown) => {
      if (type !== "error") this.fail(key, error);
    };
    try {
      const answer = listener();
      if (isThenable(answer)) Promise.resolve(answer).catch(onFailure);
    } catch (error) {
      onFailure(error);
    }
  }
}

/** Whether a value is a promise, or acts like one. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
