import { startBackgroundTimer } from "../time/background_timer.ts";
import type { Feed } from "../ports.ts";
import type { PostgresClient, Unlisten } from "../types.ts";
import { withDeadline } from "../time/deadlines.ts";
import { CircuitBreakerStoreError } from "../errors.ts";
import { messageOf } from "../foreign_message.ts";
import { sqlStateOf } from "./sql_state.ts";
import type { TableName } from "./identifier.ts";
import { CHANNEL_PREFIX } from "./statements/announce.ts";

/** The longest pause after a lost connection. It doubles with each failure, up to the other bound. */
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 5000;

/** What a feed needs beside a client. */
export interface ChangeFeedOptions {
  /** How long the server may take to name the channel, in milliseconds. */
  timeoutMs: number;
  /** Called with the error of each failed attempt to listen. */
  onError: (error: unknown) => void;
}

interface Run {
  unlisten?: Unlisten;
  /** Until the next attempt to listen. */
  timer?: ReturnType<typeof setTimeout>;
}

/**
 * Passes on what instances announce. All listeners share one connection, which is open while there is
 * a listener.
 *
 * States: idle; connecting; listening; waiting.
 * - `subscribe`: idle -> connecting.
 * - The server listens: connecting -> listening. Each listener is called, because changes before
 *   this moment were not announced.
 * - The attempt fails: connecting -> waiting, after a report of the error.
 * - The connection is lost: listening -> waiting.
 * - The pause is over: waiting -> connecting. It doubles with each failure in succession.
 * - The last listener leaves: to idle. What an older attempt returns later is closed at once.
 */
export class ChangeFeed implements Feed {
  readonly #client: PostgresClient;
  readonly #table: TableName;
  readonly #options: ChangeFeedOptions;
  readonly #listeners = new Set<() => void>();
  /** What runs while there is a listener; `undefined` when idle. A new run replaces an older one. */
  #run: Run | undefined;

  constructor(client: PostgresClient, table: TableName, options: ChangeFeedOptions) {
    this.#client = client;
    this.#table = table;
    this.#options = options;
  }

  /** Whether the client can listen at all. */
  get canListen(): boolean {
    return this.#client.listen !== undefined;
  }

  /** Announces changes to a listener until the function that it returns is called. */
  subscribe(listener: () => void): () => void {
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
      unlisten = await this.#client.listen!(await this.#channel(), () => {
        if (this.#run === run) this.#announce();
      });
    } catch (error) {
      if (this.#run === run) this.#options.onError(listenError(error));
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
    this.#announce();
  }

  #again(run: Run, failures: number): void {
    if (this.#run !== run) return;
    const delay = Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS);
    run.timer = startBackgroundTimer(() => {
      if (this.#run === run) void this.#listen(run, failures);
    }, delay * (0.5 + Math.random() / 2));
  }

  /** The channel's name. It has the table's oid, because a name can pass to another table. */
  async #channel(): Promise<string> {
    const answer = this.#client.query(
      `select '${CHANNEL_PREFIX}' || $1::text::regclass::oid::text as channel`,
      [this.#table.quoted],
    );
    const { rows } = await withDeadline(this.#options.timeoutMs, "name channel", answer);
    return String(rows[0]!.channel);
  }

  #announce(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The error of a failed attempt. Until one succeeds, the store looks for changes at intervals. */
function listenError(cause: unknown): CircuitBreakerStoreError {
  return new CircuitBreakerStoreError(
    `Cannot listen to changes: ${messageOf(cause)}: the store looks for them at intervals instead`,
    { cause, sqlState: sqlStateOf(cause) },
  );
}
