/**
 * A replicated PostgreSQL on this machine: three nodes of Patroni with one etcd, and an HAProxy that
 * leads to the leader.
 *
 * @module
 */

import { connect } from "../support/database.ts";
import { until } from "../support/until.ts";
import { Daemon, freePort, HOST } from "./daemon.ts";
import { type Answer, PatroniNode } from "./patroni_node.ts";
import type { Programs } from "./programs.ts";

const NAMES = ["north", "east", "west"] as const;

/** How long the cluster may take to be whole. */
const WHOLE_WITHIN_MS = 90_000;

/** How often HAProxy asks each Patroni who leads. */
export const CHECK_INTERVAL_MS = 500;

/** A running cluster. It ends with the process that started it. */
export class Cluster implements AsyncDisposable {
  readonly isSynchronous: boolean;
  readonly nodes: readonly PatroniNode[];
  readonly #proxyPort: number;
  readonly #cleanup: AsyncDisposableStack;

  private constructor(
    parts: Pick<Cluster, "isSynchronous" | "nodes">,
    proxyPort: number,
    cleanup: AsyncDisposableStack,
  ) {
    this.isSynchronous = parts.isSynchronous;
    this.nodes = parts.nodes;
    this.#proxyPort = proxyPort;
    this.#cleanup = cleanup;
  }

  /** Starts a cluster, and waits until it is whole. */
  static async start(programs: Programs, isSynchronous: boolean): Promise<Cluster> {
    await using cleanup = new AsyncDisposableStack();
    const etcdPort = await startEtcd(programs, cleanup);
    const nodes: PatroniNode[] = [];
    for (const name of NAMES) {
      nodes.push(
        cleanup.use(await PatroniNode.start(name, { programs, etcdPort, isSynchronous })),
      );
    }
    const proxyPort = await startHaproxy(programs, nodes, cleanup);
    const cluster = new Cluster({ isSynchronous, nodes }, proxyPort, cleanup.move());
    try {
      await cluster.#untilWhole();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** The superuser's connection string through HAProxy, database `postgres`. */
  get url(): string {
    return `postgres://postgres@${HOST}:${this.#proxyPort}/postgres`;
  }

  /** The leader, as the nodes say it themselves. */
  async leader(): Promise<PatroniNode> {
    let leader: PatroniNode | undefined;
    await until(async () => {
      // A node that stands still delays no answer of the others.
      leader = await Promise.any(this.nodes.map(async (node) => {
        if (await node.isPrimary()) return node;
        throw new Error(`${node.name} does not lead`);
      })).catch(() => undefined);
      return leader !== undefined;
    }, WHOLE_WITHIN_MS);
    return leader!;
  }

  /** A node that may follow the leader: with synchronous replication the one that it waits for. */
  async candidate(): Promise<PatroniNode> {
    const role = this.isSynchronous ? "sync_standby" : "replica";
    const member = (await this.#members()).find((each) => each.role === role);
    const node = this.nodes.find(({ name }) => name === member?.name);
    if (node === undefined) throw new Error(`Cannot find a candidate: there is no ${role}`);
    return node;
  }

  /** Waits until one node leads, and all others replicate from it, one of them synchronously. */
  async #untilWhole(): Promise<void> {
    try {
      await until(() => this.#isWhole(), WHOLE_WITHIN_MS);
    } catch (error) {
      const logs = await Promise.all(
        this.nodes.map(async (node) => `${node.name}: ${await node.log()}`),
      );
      throw new Error(`Cannot go on: the cluster is not whole\n${logs.join("\n")}`, {
        cause: error,
      });
    }
  }

  async #isWhole(): Promise<boolean> {
    const members = await this.#members();
    const leaders = members.filter(({ role }) => role === "leader");
    const others = members.filter(({ role, state, lag }) =>
      role !== "leader" && (state === "running" || state === "streaming") && lag === 0
    );
    if (leaders.length !== 1 || others.length !== NAMES.length - 1) return false;
    if (new Set(members.map(({ timeline }) => timeline)).size !== 1) return false;
    if (this.isSynchronous && !members.some(({ role }) => role === "sync_standby")) return false;
    const leader = this.nodes.find(({ name }) => name === leaders[0]!.name);
    return leader !== undefined && await leader.isPrimary();
  }

  /** What Patroni says of all nodes; nothing where none answers. */
  async #members(): Promise<Member[]> {
    for (const node of this.nodes) {
      const answer = await node.request("/cluster");
      if (answer?.status !== 200) continue;
      return (JSON.parse(answer.text) as { members?: Member[] }).members ?? [];
    }
    return [];
  }

  /** Waits until the other nodes have all that the leader has written until now. */
  async untilReplicated(): Promise<void> {
    await using sql = connect((await this.leader()).url);
    const [now] = await sql<{ position: string }[]>`select pg_current_wal_lsn()::text as position`;
    await until(async () => {
      const rows = await sql`
        select from pg_stat_replication where replay_lsn >= ${now!.position}::pg_lsn`;
      return rows.length === NAMES.length - 1;
    }, WHOLE_WITHIN_MS);
  }

  /** Moves the lead to another node, as an operator does. */
  async switchOver(): Promise<void> {
    const leader = await this.leader();
    const candidate = await this.candidate();
    const answer = await leader.request("/switchover", {
      method: "POST",
      body: JSON.stringify({ leader: leader.name, candidate: candidate.name }),
    });
    assertOk("switch over", answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

/** A node in Patroni's list. */
interface Member {
  name: string;
  role: string;
  state: string;
  timeline?: number;
  lag?: number | string;
}

function assertOk(action: string, answer: Answer | undefined): void {
  if (answer?.status === 200) return;
  throw new Error(`Cannot ${action}: ${answer?.status} ${answer?.text}`);
}

async function startEtcd(programs: Programs, cleanup: AsyncDisposableStack): Promise<number> {
  const daemon = cleanup.use(await Daemon.create());
  const [port, peerPort] = [freePort(), freePort()];
  await daemon.start(programs.etcd, [
    "--name=etcd",
    `--data-dir=${daemon.path}/data`,
    `--listen-client-urls=http://${HOST}:${port}`,
    `--advertise-client-urls=http://${HOST}:${port}`,
    `--listen-peer-urls=http://${HOST}:${peerPort}`,
    `--initial-advertise-peer-urls=http://${HOST}:${peerPort}`,
    `--initial-cluster=etcd=http://${HOST}:${peerPort}`,
    "--unsafe-no-fsync",
    "--logger=zap",
    "--log-level=warn",
  ]);
  await until(async () => {
    const response = await fetch(`http://${HOST}:${port}/health`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok ?? false;
  }, WHOLE_WITHIN_MS);
  return port;
}

async function startHaproxy(
  programs: Programs,
  nodes: readonly PatroniNode[],
  cleanup: AsyncDisposableStack,
): Promise<number> {
  const daemon = cleanup.use(await Daemon.create());
  const port = freePort();
  const servers = nodes.map(({ name, postgresPort, restPort }) =>
    `  server ${name} ${HOST}:${postgresPort} check port ${restPort}`
  );
  const path = await daemon.write(
    "haproxy.cfg",
    `global
  maxconn 1000
defaults
  mode tcp
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  timeout check 1s
  retries 0
listen leader
  bind ${HOST}:${port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter ${CHECK_INTERVAL_MS}ms fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join("\n")}
`,
  );
  await daemon.start(programs.haproxy, ["-db", "-f", path]);
  return port;
}
