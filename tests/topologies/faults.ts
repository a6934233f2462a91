import { until } from "../support/until.ts";
import type { Cluster } from "./cluster.ts";
import type { PatroniNode } from "./patroni_node.ts";

const HAPPENS_WITHIN_MS = 30_000;

/** What happens to the cluster. */
export interface Fault {
  readonly name: string;
  /** Whether the leader stays the leader. */
  readonly keepsLeader?: boolean;
  /** Keeps from the other nodes what is written from now on. */
  prepare?(cluster: Cluster, leader: PatroniNode): Promise<void>;
  /** Breaks a node, so that the leader loses its lead, unless `keepsLeader`. Returns that node. */
  strike(cluster: Cluster, leader: PatroniNode): Promise<PatroniNode>;
  /** Repairs that node. */
  heal(broken: PatroniNode): Promise<void>;
}

/** An operator moves the lead. */
export const SWITCHOVER: Fault = {
  name: "switchover",
  async strike(cluster, leader) {
    await cluster.switchOver();
    return leader;
  },
  heal: () => Promise.resolve(),
};

/** The machine of the leader dies. */
export const KILL: Fault = {
  name: "kill -9",
  async strike(_cluster, leader) {
    await leader.kill();
    return leader;
  },
  heal: (broken) => broken.restart(),
};

/** The leader cannot reach etcd any more, while clients and other nodes reach it. */
export const PARTITION: Fault = {
  name: "partition",
  async strike(_cluster, leader) {
    leader.etcdProxy.drop();
    await until(async () => !await leader.isPrimary(), HAPPENS_WITHIN_MS);
    return leader;
  },
  async heal(broken) {
    broken.etcdProxy.cut();
    await broken.etcdProxy.resume();
  },
};

/** The leader dies after it has acknowledged what no other node has. */
export const KILL_AHEAD: Fault = {
  name: "kill -9, ahead",
  async prepare(cluster, leader) {
    await cluster.untilReplicated();
    leader.replicationProxy.drop();
  },
  strike: KILL.strike,
  async heal(broken) {
    broken.replicationProxy.cut();
    await broken.replicationProxy.resume();
    await broken.restart();
  },
};

/** The machine dies that the leader's commits wait for: they hang until Patroni takes another one. */
export const STANDBY_LOST: Fault = {
  name: "standby lost",
  keepsLeader: true,
  async strike(cluster) {
    const standby = await cluster.candidate();
    await standby.kill();
    return standby;
  },
  heal: (broken) => broken.restart(),
};
