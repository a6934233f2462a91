/**
 * A TCP proxy between a driver and its server, which can do to the connections what networks do.
 *
 * @module
 */

const HOST = "127.0.0.1";
const LISTEN_ATTEMPTS = 20;

/** Where connections go. */
export interface Target {
  hostname: string;
  port: number;
}

/** How the proxy treats bytes at the moment. */
type Mode = "forward" | "hang" | "drop";

/** A proxy on a free port. Disposal ends it and all of its connections. */
export class TcpProxy implements AsyncDisposable {
  readonly #connections = new Set<Connection>();
  readonly #port: number;
  #target: Target;
  #listener: Deno.TcpListener | undefined;
  #accepting: Promise<void>;
  #isTurningAway = false;
  #mode: Mode = "forward";
  #delayMs = 0;
  #changed = Promise.withResolvers<void>();
  /** When each connection came, on the clock of `performance.now()`. */
  readonly arrivals: number[] = [];
  /** How often bytes came from clients: a driver writes a whole message at once. */
  messages = 0;

  private constructor(target: Target) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: HOST, port: 0 });
    this.#port = this.#listener.addr.port;
    this.#accepting = this.#accept(this.#listener);
  }

  /** Starts a proxy in front of a server, given as a target or by its connection string. */
  static start(target: Target | string): TcpProxy {
    return new TcpProxy(targetOf(target));
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#port;
  }

  /** Connections that are open, also those that hang or are dead without knowing it. */
  get open(): number {
    return this.#connections.size;
  }

  /** The same connection string, through this proxy. */
  urlOf(url: string): string {
    const changed = new URL(url);
    changed.hostname = HOST;
    changed.port = String(this.#port);
    return changed.href;
  }

  /** Stops forwarding and keeps every byte: sockets stay open, new ones open and are silent. */
  hang(): void {
    this.#set("hang");
  }

  /**
   * Loses every byte: the connections of now and those that come are dead for good, and neither
   * end learns of it. Only connections that come after {@linkcode TcpProxy.resume} work.
   */
  drop(): void {
    this.#set("drop");
    for (const connection of this.#connections) connection.isDead = true;
  }

  /** Forwards again, what was kept first. Ends `hang`, `drop`, `turnAway` and `refuse`. */
  async resume(): Promise<void> {
    this.#isTurningAway = false;
    if (this.#listener === undefined) {
      this.#listener = await listenAgain(this.#port);
      this.#accepting = this.#accept(this.#listener);
    }
    this.#set("forward");
  }

  /** Keeps everything that is sent for at least `ms` milliseconds, in both directions. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Closes all connections. */
  cut(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** Accepts connections and closes them at once, as a load balancer without a server does. */
  turnAway(): void {
    this.#isTurningAway = true;
  }

  /** Refuses connections, as a machine does on which nothing listens. */
  async refuse(): Promise<void> {
    this.#listener?.close();
    this.#listener = undefined;
    await this.#accepting;
  }

  /** Sends connections that come from now on to another server. */
  redirect(target: Target | string): void {
    this.#target = targetOf(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
    this.cut();
    await Promise.all(Array.from(this.#connections, ({ ended }) => ended));
  }

  #set(mode: Mode): void {
    this.#mode = mode;
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    for await (const client of listener) {
      this.arrivals.push(performance.now());
      if (this.#isTurningAway) client.close();
      else this.#open(client);
    }
  }

  #open(client: Deno.TcpConn): void {
    const connection = new Connection(client, this.#target, {
      ready: (isDead) => this.#ready(isDead),
      changed: (closed) => Promise.race([closed, this.#changed.promise]),
      delayMs: () => this.#delayMs,
      sent: () => this.messages++,
    });
    connection.isDead = this.#mode === "drop";
    this.#connections.add(connection);
    connection.ended.finally(() => this.#connections.delete(connection));
  }

  #ready(isDead: boolean): boolean {
    return !isDead && this.#mode === "forward";
  }
}

/** What a connection has to know of its proxy. */
interface Rules {
  /** Whether bytes may go on at the moment. */
  ready(isDead: boolean): boolean;
  /** Resolves when that may have changed, or when the connection is closed. */
  changed(closed: Promise<void>): Promise<void>;
  delayMs(): number;
  sent(): void;
}

/** A client's connection with its counterpart at the server. */
class Connection {
  /** Set on a connection of which the network has lost sight. */
  isDead = false;
  /** Resolves when both ends are closed. */
  readonly ended: Promise<void>;
  readonly #client: Deno.TcpConn;
  readonly #rules: Rules;
  readonly #closed = Promise.withResolvers<void>();
  #server: Deno.TcpConn | undefined;
  #isClosed = false;

  constructor(client: Deno.TcpConn, target: Target, rules: Rules) {
    this.#client = client;
    this.#rules = rules;
    this.ended = this.#run(target);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closed.resolve();
    this.#client.close();
    this.#server?.close();
  }

  async #run(target: Target): Promise<void> {
    try {
      await this.#mayGoOn();
      if (this.#isClosed) return;
      const server = await Deno.connect(target);
      if (this.#isClosed) return server.close();
      this.#server = server;
      await Promise.all([
        this.#pump(this.#client, server, () => this.#rules.sent()),
        this.#pump(server, this.#client, () => {}),
      ]);
    } catch {
      // The server refuses, or an end is gone: the other one learns of it.
    } finally {
      this.close();
    }
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn, onBytes: () => void): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const size = await from.read(buffer);
        if (size === null) break;
        onBytes();
        const delayMs = this.#rules.delayMs();
        if (delayMs > 0) await this.#pause(delayMs);
        await this.#mayGoOn();
        for (let written = 0; written < size;) {
          written += await to.write(buffer.subarray(written, size));
        }
      }
      await this.#mayGoOn();
    } catch {
      // Closed while it waited.
    }
    this.close();
  }

  /** Waits as long as the network is silent, or until the connection is closed. */
  async #mayGoOn(): Promise<void> {
    while (!this.#isClosed && !this.#rules.ready(this.isDead)) {
      await this.#rules.changed(this.#closed.promise);
    }
  }

  async #pause(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([over, this.#closed.promise]);
    clearTimeout(timer);
  }
}

function targetOf(target: Target | string): Target {
  if (typeof target !== "string") return target;
  const { hostname, port } = new URL(target);
  return { hostname, port: Number(port) };
}

/** Another program's outgoing connection may hold the port for a moment. */
async function listenAgain(port: number): Promise<Deno.TcpListener> {
  for (let attempt = 1;; attempt++) {
    try {
      return Deno.listen({ hostname: HOST, port });
    } catch (error) {
      if (attempt === LISTEN_ATTEMPTS || !(error instanceof Deno.errors.AddrInUse)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
