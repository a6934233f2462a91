import { startBackgroundTimer } from "../time/background.ts";
import type { ChangeListener } from "../rules/circuit.ts";
import type { PostgresClient, Unlisten } from "../types.ts";
import { CHANNEL_PREFIX } from "./change_triggers.ts";
import type { TableName } from "./identifier.ts";

/** The first attempt to listen again comes after so long at most, and no later one waits longer. */
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 5000;

interface Run {
  unlisten?: Unlisten;
  /** Until the next attempt to listen. */
  timer?: ReturnType<typeof setTimeout>;
}

/**
 * What the table's triggers announce, on one connection for all who listen, which is open while
 * anybody does. A connection that is lost is replaced in the background; whoever listens is told
 * that something may have been missed, once it is listened to again.
 */
export class ChangeFeed {
  readonly #client: PostgresClient;
  readonly #table: TableName;
  readonly #listeners = new Set<ChangeListener>();
  /** What runs while anybody listens: each begin makes the one before it moot. */
  #run: Run | undefined;

  constructor(client: PostgresClient, table: TableName) {
    this.#client = client;
    this.#table = table;
  }

  /** Whether the client can listen at all. */
  get canListen(): boolean {
    return this.#client.listen !== undefined;
  }

  /** Tells of changes until the function that it returns is called. */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    if (this.#run === undefined && this.canListen) {
      this.#run = {};
      void this.#listen(this.#run, 0);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      const run = this.#run;
      this.#run = undefined;
      clearTimeout(run?.timer);
      run?.unlisten?.().catch(() => {}); // a connection that is gone already
    };
  }

  async #listen(run: Run, failures: number): Promise<void> {
    let unlisten: Unlisten;
    try {
      unlisten = await this.#client.listen!(await this.#channel(), (payload) => {
        if (this.#run === run) this.#tell(payload);
      });
    } catch {
      this.#again(run, failures + 1);
      return;
    }
    if (this.#run !== run) {
      unlisten().catch(() => {});
      return;
    }
    run.unlisten = unlisten;
    void unlisten.lost?.then(() => {
      run.unlisten = undefined;
      this.#again(run, 0);
    });
    for (const listener of this.#listeners) listener.onGap();
  }

  #again(run: Run, failures: number): void {
    if (this.#run !== run) return;
    const delay = Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS);
    run.timer = startBackgroundTimer(() => {
      if (this.#run === run) void this.#listen(run, failures);
    }, delay * (0.5 + Math.random() / 2));
  }

  /** By its oid, because a table goes by several names, and another may come to have one of them. */
  async #channel(): Promise<string> {
    const { rows } = await this.#client.query(
      `select '${CHANNEL_PREFIX}' || $1::text::regclass::oid as channel`,
      [this.#table.quoted],
    );
    return String(rows[0]!.channel);
  }

  #tell(payload: string): void {
    const [digest = "", version] = payload.split(" ");
    for (const listener of this.#listeners) listener.onChange(digest, Number(version));
  }
}
