import { until } from "../support/until.ts";
import type { Cluster } from "./cluster.ts";
import type { PatroniNode } from "./patroni_node.ts";

const HAPPENS_WITHIN_MS = 30_000;

/** What happens to the cluster. */
export interface Fault {
  readonly name: string;
  /** Whether the leader stays the leader. */
  readonly keepsLeader?: boolean;
  /**
   * Whether the leader ends sessions whose commits wait for another node. A driver that resolves a statement
   * before its commit takes it for done then.
   */
  readonly endsWaitingCommits?: boolean;
  /** Keeps from the other nodes what is written from now on. */
  prepare?(cluster: Cluster, leader: PatroniNode): Promise<void>;
  /** Breaks a node, so that the leader loses its lead, unless `keepsLeader`. */
  strike(cluster: Cluster, leader: PatroniNode): Promise<void>;
}

/** An operator moves the lead. */
export const SWITCHOVER: Fault = {
  name: "switchover",
  strike: (cluster) => cluster.switchOver(),
};

/** The machine of the leader dies. */
export const KILL: Fault = {
  name: "kill -9",
  strike: (_cluster, leader) => leader.kill(),
};

/** The leader cannot reach etcd any more, while clients and other nodes reach it. */
export const PARTITION: Fault = {
  name: "partition",
  async strike(_cluster, leader) {
    leader.etcdProxy.drop();
    await until(async () => !await leader.isPrimary(), HAPPENS_WITHIN_MS);
  },
};

/** The machine of the leader stands still. */
export const FREEZE: Fault = {
  name: "freeze",
  strike: (_cluster, leader) => leader.freeze(),
};

/** The leader dies after it has acknowledged what no other node has. */
export const KILL_AHEAD: Fault = {
  name: "kill -9, ahead",
  async prepare(cluster, leader) {
    await cluster.untilReplicated();
    leader.replicationProxy.drop();
  },
  strike: KILL.strike,
};

/** The machine dies that the leader's commits wait for: they hang until Patroni takes another one. */
export const STANDBY_LOST: Fault = {
  name: "standby lost",
  keepsLeader: true,
  strike: async (cluster) => await (await cluster.candidate()).kill(),
};

/** The leader reaches neither etcd nor the other nodes, while clients reach it: its commits hang. */
export const ISOLATED: Fault = {
  name: "isolated",
  endsWaitingCommits: true,
  async strike(_cluster, leader) {
    leader.etcdProxy.drop();
    leader.replicationProxy.drop();
    await until(async () => !await leader.isPrimary(), HAPPENS_WITHIN_MS);
  },
};
