import type { CircuitChange, PostgresCircuitBreakerStore } from "../../mod.ts";

/** Watches every change, and notes what a reader must not see: a version twice, or a lower one. */
export class WatchRecord {
  readonly watched: [version: number, key: string][] = [];
  readonly breaks: string[] = [];
  readonly disorder: string[] = [];
  readonly #versions = new Map<string, number>();
  #seen = Promise.withResolvers<void>();

  /** Watches until the store ends. */
  async run(store: PostgresCircuitBreakerStore): Promise<void> {
    const changes = store.watch({
      onBreak: ({ reason }) => {
        this.breaks.push(reason);
        // Another server may have other changes: what it says begins anew.
        this.#versions.clear();
      },
    });
    for await (const change of changes) {
      this.#note(change);
      const { resolve } = this.#seen;
      this.#seen = Promise.withResolvers();
      resolve();
    }
  }

  /** Resolves when a change of a circuit was delivered. */
  async until(key: string): Promise<void> {
    while (!this.watched.some(([, seen]) => seen === key)) await this.#seen.promise;
  }

  #note({ key, version }: CircuitChange): void {
    this.watched.push([version, key]);
    const last = this.#versions.get(key) ?? 0;
    if (version <= last) this.disorder.push(`watch: ${key} has ${version} after ${last}`);
    this.#versions.set(key, version);
  }
}

/** The versions of listed circuits, which only grow as long as the server loses nothing. */
export class ListedVersions {
  readonly disorder: string[] = [];
  #versions = new Map<string, number>();

  /** Lists circuits after a key, and compares them with what was listed before. */
  async look(store: PostgresCircuitBreakerStore, after: string): Promise<void> {
    const versions = this.#versions;
    const asked = new Map(versions);
    for (const { key, version } of await store.list({ after, limit: 50 })) {
      const last = asked.get(key) ?? 0;
      const isComparable = versions === this.#versions;
      if (isComparable && version < last) {
        this.disorder.push(`list: ${key} has ${version} after ${last}`);
      }
      versions.set(key, Math.max(version, versions.get(key) ?? 0));
    }
  }

  /** Another server may have lost changes. */
  forget(): void {
    this.#versions = new Map();
  }
}
