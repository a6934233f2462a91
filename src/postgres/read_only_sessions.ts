import { sqlStateOf } from "./sql_state.ts";
import { readOnlyError } from "./codec.ts";
import { isConnectionLost } from "./lost_connection.ts";
import type { Closing, SessionState } from "./statements/check.ts";

/**
 * A session that was opened longer ago than this, in milliseconds, says nothing about the server that
 * new connections find now.
 */
const OLD_MS = 500;

/** How long sessions of a role that is read-only on purpose are left alone: at first, and at most. */
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;

/** How many looks in a row may lose their connection before the server itself is in doubt. */
const MAX_LOST = 3;

/** The server ended the session. */
const ADMIN_SHUTDOWN = "57P01";

/** No pool that is used for this holds more sessions. */
const MAX_SESSIONS = 1000;

/** What the looks at sessions need. */
export interface ReadOnlySessionsOptions {
  /** Looks at one session of the pool, and closes it where that is asked for. */
  look: (closing: Closing | undefined) => Promise<SessionState>;
  /** Whether the client opens a new session for one that was closed. */
  mayClose: () => boolean;
}

/**
 * Replaces sessions of a server that takes no writes. After a failover a pool keeps its sessions with
 * the old primary, or with a standby, for as long as they live: they are closed one after the other,
 * until the pool opens a new one.
 *
 * States: quiet; looking.
 * - `met`, `check`: quiet -> looking.
 * - a look closes an old session: looking -> looking, at the next session.
 * - a look finds a session that takes writes: looking -> quiet, and `check` resolves.
 * - a look finds a new session that takes no writes: looking -> quiet, and `check` rejects: no primary
 *   is to be had for now.
 *
 * Where sessions take no writes on purpose, because of their role or database, a check closes one of
 * them at most, and then none for a while, ever longer. Only once a session was found that takes
 * writes are the others closed like all else: the purpose has changed.
 */
export class ReadOnlySessions {
  readonly #look: ReadOnlySessionsOptions["look"];
  readonly #mayClose: () => boolean;
  #isLooking = false;
  /** Whether a session that takes writes was found since one that takes none on purpose. */
  #isWritable = false;
  #pauseMs = 0;
  /** When sessions may be closed again, on the clock of `performance.now()`. */
  #closableAt = 0;

  constructor({ look, mayClose }: ReadOnlySessionsOptions) {
    this.#look = look;
    this.#mayClose = mayClose;
  }

  /** A statement met a session that takes no writes. Never throws. */
  readonly met = (): void => {
    if (this.#isLooking || !this.#isClosing) return;
    this.#isLooking = true;
    this.#closeOld().catch(() => {
      // The statement that met the session reports it.
    }).finally(() => this.#isLooking = false);
  };

  /**
   * Resolves once a session was found that takes writes. Rejects where there is none for now, with
   * the error of the server or of the connection.
   *
   * It closes sessions only after a look that closes none: closing one needs a connection that carries
   * no other statement, for which a busy pool may keep it waiting.
   */
  async check(): Promise<void> {
    let state: SessionState | undefined = await this.#look(undefined);
    if (!state.takesWrites && this.#isClosing) {
      if (!state.isReadOnlyOnPurpose) state = await this.#closeOld();
      else await this.#closeOne(true);
    }
    this.#learn(state);
    if (state === undefined || !state.takesWrites) throw readOnlyError();
  }

  /** Closes old sessions, up to one that it does not close; `undefined` where that never came. */
  async #closeOld(): Promise<SessionState | undefined> {
    let lost = 0;
    for (let i = 0; i < MAX_SESSIONS; i++) {
      const outcome = await this.#closeOne(this.#isWritable);
      if (typeof outcome === "object") {
        this.#learn(outcome);
        return outcome;
      }
      lost = outcome === "lost" ? lost + 1 : 0;
      if (lost > MAX_LOST) break;
    }
    return undefined;
  }

  /**
   * Looks at one session. Its connection is lost where that closed it and the driver saw the end of the
   * connection before the server's word, or where it used the connection that the look before closed.
   */
  async #closeOne(alsoOnPurpose: boolean): Promise<SessionState | "closed" | "lost"> {
    try {
      const state = await this.#look({ olderThanMs: OLD_MS, alsoOnPurpose });
      return state.isClosed ? "closed" : state;
    } catch (error) {
      if (sqlStateOf(error) === ADMIN_SHUTDOWN) return "closed";
      if (isConnectionLost((error as Error).cause)) return "lost";
      throw error;
    }
  }

  #learn(state: SessionState | undefined): void {
    if (state?.takesWrites) {
      this.#isWritable = true;
      this.#pauseMs = 0;
      this.#closableAt = 0;
    } else if (state?.isReadOnlyOnPurpose && !this.#isPaused) {
      // Checks during a pause close nothing, and must not prolong it.
      this.#isWritable = false;
      this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, FIRST_PAUSE_MS), MAX_PAUSE_MS);
      this.#closableAt = performance.now() + this.#pauseMs;
    }
  }

  get #isPaused(): boolean {
    return performance.now() < this.#closableAt;
  }

  get #isClosing(): boolean {
    return !this.#isPaused && this.#mayClose();
  }
}
