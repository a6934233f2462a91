import type { ChangeListener } from "../circuit.ts";
import { Digests } from "./digests.ts";
import { type Origin, Replica } from "./replica.ts";

/** Where changes are announced. */
export interface Feed {
  /** Whether anything is announced at all. */
  readonly canListen: boolean;
  /** Tells of changes until the function that it returns is called. */
  subscribe(listener: ChangeListener): () => void;
}

/** What an instance keeps in memory, and where it hears of changes while it keeps anything. */
export class Replication implements ChangeListener {
  readonly replica: Replica;
  readonly #feed: Feed;
  readonly #digests = new Digests();
  #unsubscribe: (() => void) | undefined;
  #isEnded = false;

  /** `now` is a clock that replaces the database's. */
  constructor(
    origin: Origin,
    feed: Feed,
    { maxStalenessMs, now }: { maxStalenessMs: number; now: (() => number) | undefined },
  ) {
    this.#feed = feed;
    this.replica = new Replica(origin, {
      maxStalenessMs,
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
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    return this.replica.end();
  }

  #note(key: string, isKnown: boolean): void {
    void (isKnown ? this.#digests.add(key) : this.#digests.delete(key));
    if (this.#digests.size === 0) {
      this.#unsubscribe?.();
      this.#unsubscribe = undefined;
    } else if (!this.#isEnded) {
      this.#unsubscribe ??= this.#feed.subscribe(this);
    }
  }
}
