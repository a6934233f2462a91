/**
 * One node of the cluster: a Patroni and the PostgreSQL that it runs.
 *
 * @module
 */

import { TcpProxy } from "../faults/tcp_proxy.ts";
import { Daemon, freePort, HOST } from "./daemon.ts";
import type { Programs } from "./programs.ts";

/** How long a request to Patroni may take. */
const REQUEST_MS = 5000;

/** What all nodes of a cluster have in common. */
export interface ClusterSettings {
  readonly programs: Programs;
  readonly etcdPort: number;
  readonly isSynchronous: boolean;
}

/**
 * Settings of the whole cluster. Patroni demands that `ttl` is at least `loop_wait` and twice
 * `retry_timeout`: the leader must know that it lost its key before others may take it. Its newer releases
 * make 20 of a `ttl` below that.
 */
const TIMES = { ttl: 8, loop_wait: 1, retry_timeout: 3 };

/** A node, which fails like a machine. */
export class PatroniNode implements AsyncDisposable {
  readonly name: string;
  /** Between Patroni and etcd. */
  readonly etcdProxy: TcpProxy;
  /** Between the other nodes and the server: what they replicate comes through it. */
  readonly replicationProxy: TcpProxy;
  readonly postgresPort: number = freePort();
  readonly restPort: number = freePort();
  readonly #daemon: Daemon;
  readonly #settings: ClusterSettings;

  private constructor(name: string, daemon: Daemon, settings: ClusterSettings) {
    this.name = name;
    this.#daemon = daemon;
    this.#settings = settings;
    this.etcdProxy = TcpProxy.start({ hostname: HOST, port: settings.etcdPort });
    this.replicationProxy = TcpProxy.start({ hostname: HOST, port: this.postgresPort });
  }

  /** Starts a node. It becomes the leader, or follows it. */
  static async start(name: string, settings: ClusterSettings): Promise<PatroniNode> {
    const node = new PatroniNode(name, await Daemon.create(), settings);
    await node.#daemon.write("patroni.yml", JSON.stringify(node.#configuration(), null, 2));
    await node.#daemon.start(settings.programs.patroni, [`${node.#daemon.path}/patroni.yml`]);
    return node;
  }

  /** The superuser's connection string, past HAProxy. */
  get url(): string {
    return `postgres://postgres@${HOST}:${this.postgresPort}/postgres`;
  }

  /** Kills Patroni and PostgreSQL at once, as a machine dies. */
  async kill(): Promise<void> {
    await this.#daemon.kill();
  }

  /** Has Patroni and PostgreSQL stand still. */
  async freeze(): Promise<void> {
    await this.#daemon.freeze();
  }

  /** The answer of Patroni's REST interface; `undefined` where there is none. */
  async request(path: string, init: RequestInit = {}): Promise<Answer | undefined> {
    try {
      const response = await fetch(`http://${HOST}:${this.restPort}${path}`, {
        ...init,
        signal: AbortSignal.timeout(REQUEST_MS),
      });
      return { status: response.status, text: await response.text() };
    } catch {
      return undefined;
    }
  }

  /** Whether Patroni says that this is the leader. HAProxy asks the same. */
  async isPrimary(): Promise<boolean> {
    return (await this.request("/primary"))?.status === 200;
  }

  /** The end of what it said. */
  log(): Promise<string> {
    return this.#daemon.log();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
    await this.etcdProxy[Symbol.asyncDispose]();
    await this.replicationProxy[Symbol.asyncDispose]();
  }

  #configuration(): unknown {
    const { programs, isSynchronous } = this.#settings;
    const everyUser = `host all all ${HOST}/32 trust`;
    return {
      scope: "circuits",
      name: this.name,
      restapi: {
        listen: `${HOST}:${this.restPort}`,
        connect_address: `${HOST}:${this.restPort}`,
      },
      // Without `use_proxies` Patroni asks etcd for its addresses and goes past the proxy.
      etcd3: { hosts: [`${HOST}:${this.etcdProxy.port}`], use_proxies: true },
      bootstrap: {
        dcs: {
          ...TIMES,
          synchronous_mode: isSynchronous,
          // A leader that crashed is replaced at once instead of being started again.
          primary_start_timeout: 0,
          maximum_lag_on_failover: 100 * 1024 * 1024,
          postgresql: { use_pg_rewind: true, use_slots: true },
        },
        initdb: [{ encoding: "UTF8" }, { locale: "C" }, { auth: "trust" }, "no-sync"],
      },
      postgresql: {
        listen: `${HOST}:${this.postgresPort}`,
        connect_address: `${HOST}:${this.replicationProxy.port}`,
        data_dir: `${this.#daemon.path}/data`,
        bin_dir: programs.postgres,
        pgpass: `${this.#daemon.path}/pgpass`,
        authentication: {
          superuser: { username: "postgres" },
          replication: { username: "replicator" },
          rewind: { username: "postgres" },
        },
        basebackup: [{ checkpoint: "fast" }, "no-sync"],
        pg_hba: [everyUser, everyUser.replace("all all", "replication all")],
        parameters: {
          // Without fsync a commit still outlives a killed server, though not a power cut.
          fsync: "off",
          full_page_writes: "on",
          dynamic_shared_memory_type: "mmap",
          shared_buffers: "32MB",
          max_connections: 100,
          unix_socket_directories: "",
          wal_keep_size: "512MB",
          // As small as a busy machine allows: Patroni demotes with a checkpoint.
          checkpoint_timeout: "30s",
        },
      },
      tags: {},
    };
  }
}

/** An answer of the REST interface. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}
