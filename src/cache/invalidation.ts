import { startBackgroundTimer } from "../time/background_timer.ts";
import type { ChangeListener, Feed } from "../ports.ts";
import type { Call } from "../time/call.ts";
import { Digests } from "./digests.ts";
import { CircuitCache } from "./circuit_cache.ts";
import type { CircuitCacheOptions, Origin } from "./origin.ts";

/** How long it goes on listening, in milliseconds, when no circuit is in use any more. */
const LINGER_MS = 30_000;

/**
 * A cache, and the feed that says which of its circuits have changed.
 *
 * States: apart; listening; lingering; ended.
 * - A circuit is added to the cache: apart or lingering -> listening.
 * - The last circuit is dropped: listening -> lingering, so that single requests now and then do not
 *   open a connection each.
 * - The time is over: lingering -> apart.
 * - `end`: to ended. It counts the successes that wait.
 */
export class CacheInvalidation implements ChangeListener {
  readonly cache: CircuitCache;
  readonly #feed: Feed;
  readonly #digests = new Digests();
  #unsubscribe: (() => void) | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #isEnded = false;

  /** `now` is a clock that replaces the database's. */
  constructor(
    origin: Origin,
    feed: Feed,
    { maxStalenessMs, deadlines, now }: Pick<
      CircuitCacheOptions,
      "maxStalenessMs" | "deadlines" | "now"
    >,
  ) {
    this.#feed = feed;
    this.cache = new CircuitCache(origin, {
      maxStalenessMs,
      deadlines,
      now,
      clock: now ?? (() => performance.now()),
      ...feed.canListen && { onKnown: (key, isKnown) => this.#note(key, isKnown) },
    });
  }

  onChange(digest: string, version: number): void {
    const key = this.#digests.keyOf(digest);
    if (key !== undefined) this.cache.changed(key, version);
  }

  onGap(): void {
    this.cache.missed();
  }

  /** Stops listening, and counts the successes that wait. */
  end(call: Call): Promise<void> {
    this.#isEnded = true;
    this.#leave();
    return this.cache.end(call);
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
