import { startBackgroundTimer } from "../time/background.ts";
import type { ChangeListener, Origin } from "../rules/circuit.ts";
import type { Feed } from "../ports.ts";
import { Digests } from "./digests.ts";
import { CircuitCache, type CircuitCacheOptions } from "./circuit_cache.ts";

/** How long it goes on listening when nothing is in use: a connection for each request is too many. */
const LINGER_MS = 30_000;

/** What an instance keeps in memory, and where it hears of changes while it keeps anything. */
export class CacheInvalidation implements ChangeListener {
  readonly replica: CircuitCache;
  readonly #feed: Feed;
  readonly #digests = new Digests();
  #unsubscribe: (() => void) | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #isEnded = false;

  /** `now` is a clock that replaces the database's. */
  constructor(
    origin: Origin,
    feed: Feed,
    { maxStalenessMs, timeoutMs, now }: Pick<
      CircuitCacheOptions,
      "maxStalenessMs" | "timeoutMs" | "now"
    >,
  ) {
    this.#feed = feed;
    this.replica = new CircuitCache(origin, {
      maxStalenessMs,
      timeoutMs,
      now,
      clock: now ?? (() => performance.now()),
      ...feed.canListen && { onKnown: (key, isKnown) => this.#note(key, isKnown) },
    });
  }

  onChange(digest: string, version: number): void {
    const key = this.#digests.keyOf(digest);
    if (key !== undefined) this.replica.changed(key, version);
  }

  onGap(): void {
    this.replica.missed();
  }

  /** Counts what was deferred and keeps nothing up to date any more. */
  end(): Promise<void> {
    this.#isEnded = true;
    this.#leave();
    return this.replica.end();
  }

  #note(key: string, isKnown: boolean): void {
    if (isKnown) this.#digests.add(key);
    else this.#digests.delete(key);
    if (this.#isEnded) return;
    clearTimeout(this.#linger);
    if (this.#digests.size > 0) this.#unsubscribe ??= this.#feed.subscribe(this);
    else this.#linger = startBackgroundTimer(() => this.#leave(), LINGER_MS);
  }

  #leave(): void {
    clearTimeout(this.#linger);
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }
}
