/**
 * How often postgres.js connects to a server that closes each connection without an answer.
 *
 * While a statement waits for its connection, the driver connects again as soon as the server has
 * closed it: about 400 times a second for each such statement, also when the caller has long given up.
 * A store leaves several behind in an outage.
 *
 * @module
 */

/** The part of `sql.options` that the driver reads anew for each connection. */
export interface PacedOptions {
  max?: number;
  host?: unknown[];
  port?: unknown[];
  idle_timeout?: unknown;
  sslnegotiation?: unknown;
  /** Makes a socket in place of the driver. */
  socket?: unknown;
}

/** Between two connections to a server that does not answer. */
const PAUSE_MS = 50;

/** The driver reads `socket` twice for each connection that it opens itself. */
const READS_PER_ATTEMPT = 2;

/**
 * The connections of all pools that share their `retries`: a `sql`, and the one it listens with.
 * - free: connections open at once. Where more of them have begun than there are places, and none was
 *   answered and none failed, the server closes them: closing.
 * - closing: the driver is given a pause in place of a socket. Every 50 ms one pause ends like a
 *   connection that the server closed, and the driver opens the next connection for its statement.
 * - An answer on any connection ends all pauses: free.
 *
 * Connections that cancel a statement are not counted and not delayed.
 */
export class ReconnectPace {
  readonly #pauses = new Set<Pause>();
  #places = 1;
  #reads = 0;
  #isPausing = false;
  #switch: ReturnType<typeof setTimeout> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Paces the connections of a pool, unless it makes its sockets itself or speaks TLS at once. */
  add(options: PacedOptions): void {
    if (options.socket || options.sslnegotiation === "direct") return;
    // One more for the connection that listens.
    this.#places = Math.max(this.#places, (options.max ?? 1) + 1);
    const makePause = () => new Pause(options, this.#pauses, () => this.#schedule());
    let own: unknown;
    let isCancelling = false;
    let cancelReads = 0;
    const read = () => {
      if (own !== undefined) return own;
      if (isCancelling) {
        isCancelling = false;
        cancelReads += READS_PER_ATTEMPT;
      }
      if (cancelReads === 0) return this.#mustPause() ? makePause : undefined;
      cancelReads--;
    };
    Object.defineProperty(options, "socket", {
      configurable: true,
      // The driver copies the options for the connection that it listens with.
      enumerable: false,
      get: read,
      set: (value: unknown) => own = value,
    });
    // Read where a connection object is made: those of the pool are there, so this one cancels.
    let { idle_timeout } = options;
    Object.defineProperty(options, "idle_timeout", {
      configurable: true,
      enumerable: true,
      get: () => {
        isCancelling = true;
        return idle_timeout;
      },
      set: (value: unknown) => idle_timeout = value,
    });
  }

  /** A connection is ready. */
  answered(): void {
    this.#reads = 0;
    this.#isPausing = false;
    for (const pause of this.#pauses) pause.close();
  }

  /** A connection has failed, after which the driver waits by itself. */
  failed(): void {
    this.#reads = Math.max(0, this.#reads - READS_PER_ATTEMPT);
  }

  get #isClosing(): boolean {
    return this.#reads > READS_PER_ATTEMPT * this.#places;
  }

  /**
   * Whether the next connection is a pause. The driver reads this when it begins to connect and again,
   * in the same task, before it connects, and needs the same answer: `#isPausing` becomes true only in
   * tasks of its own.
   */
  #mustPause(): boolean {
    if (this.#isPausing) return true;
    this.#reads++;
    if (this.#isClosing) {
      this.#switch ??= setTimeout(() => {
        this.#switch = undefined;
        this.#isPausing = this.#isClosing;
      }, 0);
    }
    return false;
  }

  /** Has the next pause end in time; called whenever one comes or goes. */
  #schedule(): void {
    if (this.#pauses.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // Until the connection that follows has begun.
      this.#isPausing = false;
      const [first] = this.#pauses;
      first?.close();
    }, PAUSE_MS);
  }
}

type Listener = (argument?: unknown) => void;

/**
 * What the driver takes for a socket: connected, silent, and closed after a while. It joins the pauses
 * with the driver's first message, because the driver keeps a message that it could not write for the
 * next connection.
 */
class Pause {
  readyState = "open";
  readonly host: unknown;
  readonly port: unknown;
  readonly #pauses: Set<Pause>;
  readonly #onChange: () => void;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor({ host, port }: PacedOptions, pauses: Set<Pause>, onChange: () => void) {
    this.host = host?.[0];
    this.port = port?.[0];
    this.#pauses = pauses;
    this.#onChange = onChange;
  }

  write(): boolean {
    if (this.readyState === "open") this.#pauses.add(this);
    this.#onChange();
    return true;
  }

  /** Closes it as a server that has nothing to say would. */
  close(): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.#pauses.delete(this);
    this.#onChange();
    for (const listener of this.#listeners.get("close") ?? []) listener(false);
  }

  /** The driver ends its pool. A socket would not be closed before the driver has gone on either. */
  end(): void {
    setTimeout(() => this.close(), 0);
  }

  destroy(): void {
    this.end();
  }

  on(event: string, listener: Listener): this {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return this;
  }

  once(event: string, listener: Listener): this {
    return this.on(event, listener);
  }

  removeListener(event: string, listener: Listener): this {
    this.#listeners.get(event)?.delete(listener);
    return this;
  }

  removeAllListeners(): this {
    this.#listeners.clear();
    return this;
  }

  setKeepAlive(): this {
    return this;
  }
}
