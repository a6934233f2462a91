import { assertEquals } from "@std/assert";
import type { CircuitTable } from "../../../src/postgres/circuit_table.ts";
import { fleetRulesOf } from "../../../src/rules/voting.ts";
import { oneTo } from "../../conformance/session.ts";
import { demand, logOf, type OpenTable, openTable } from "../../support/circuit_table.ts";
import { rulesOf } from "../../support/rules.ts";

const RULES = fleetRulesOf(rulesOf({ quorum: 2, failureThreshold: 3, resetTimeoutMs: 1000 }));
const START = 1_000_000;
const SUCCESS = "success";
const FAILURE = "failure";
const ACT = { reason: undefined, actor: undefined };
const OPEN_FORCE = { state: "open", forMs: undefined, ...ACT } as const;

/** A table of instances whose clock the test sets. */
class Scene implements AsyncDisposable {
  at = START;
  readonly opened: OpenTable;
  readonly #now: () => number;

  private constructor(opened: OpenTable, now: () => number) {
    this.opened = opened;
    this.#now = now;
  }

  static async open(): Promise<Scene> {
    const clock = { scene: undefined as Scene | undefined };
    const now = () => clock.scene!.at;
    return clock.scene = new Scene(await openTable({ rules: RULES }), now);
  }

  /** The table for an instance. */
  as(actor: string, rules = RULES): CircuitTable {
    return this.opened.another({ actor, rules, now: this.#now });
  }

  async vote(...actors: string[]): Promise<void> {
    for (const actor of actors) await this.as(actor).votes.vote("api", demand());
  }

  async withdraw(actor: string): Promise<void> {
    await this.as(actor).votes.withdraw(["api"], demand());
  }

  /** Opens the circuit by two votes, and closes it by the probe of an instance. */
  async openAndCloseBy(actor: string, voters = ["a", "b"]): Promise<void> {
    await this.vote(...voters);
    await this.closeBy(actor);
  }

  async closeBy(actor: string): Promise<void> {
    this.at += 1000;
    const [claimed] = await this.as(actor).claim(
      [{ key: "api", wanted: 1, patienceMs: 0 }],
      demand(),
    );
    assertEquals(claimed!.granted, 1);
    await this.as(actor).settle("api", SUCCESS, claimed!, demand());
  }

  /** What the row says of votes. */
  async row() {
    const [row] = await this.opened.sql`
      select json_build_object('state', state, 'votes', vote_labels, 'seen', vote_seen,
        'voters', voters, 'muted', muted)::text as row
      from stoma_circuit_breakers where key = 'api'`;
    return JSON.parse(row!.row) as Record<string, unknown>;
  }

  log(): Promise<string[]> {
    return logOf(this.opened.sql, "api");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.opened[Symbol.asyncDispose]();
  }
}

const NONE = { votes: null, seen: null, voters: null, muted: null };
const VOTED = "closed -> closed by vote";
const OPENED = "closed -> open by vote";

Deno.test("the vote that completes the quorum opens the circuit, and ends the votes", async () => {
  await using scene = await Scene.open();
  await scene.vote("a");
  assertEquals(await scene.row(), {
    ...NONE,
    state: "closed",
    votes: ["a"],
    seen: [START],
  });
  scene.at += 5;
  await scene.vote("b");
  assertEquals(await scene.row(), { ...NONE, state: "open", voters: ["b", "a"] });
  assertEquals(await scene.log(), [VOTED, OPENED]);
  const [last] = await scene.opened.sql`
    select actor, reason, at::int from stoma_circuit_breakers_changes order by version desc limit 1`;
  assertEquals({ ...last }, { actor: "b", reason: null, at: START + 5 });
  const [circuit] = await scene.as("c").read(["api"], demand());
  assertEquals([circuit!.lastStateChange, circuit!.openedAt], [START + 5, START + 5]);
});

Deno.test("an instance has one vote, and a renewal takes no version and no row of the log", async () => {
  await using scene = await Scene.open();
  for (const _ of oneTo(5)) {
    await scene.vote("a");
    scene.at += 10_000;
  }
  assertEquals(await scene.row(), {
    ...NONE,
    state: "closed",
    votes: ["a"],
    seen: [START + 40_000],
  });
  assertEquals(await scene.log(), [VOTED]);
});

Deno.test("a vote that was not seen for 30 seconds counts no more", async () => {
  await using scene = await Scene.open();
  await scene.vote("a");
  scene.at += 30_000;
  await scene.vote("b");
  assertEquals((await scene.row()).votes, ["b"]);
  await scene.vote("a");
  assertEquals((await scene.row()).state, "open");
  assertEquals(await scene.log(), [VOTED, VOTED, OPENED]);
});

Deno.test("a vote from before the clock was set back ends by its distance", async () => {
  await using scene = await Scene.open();
  await scene.vote("a");
  scene.at -= 30_000;
  await scene.vote("b");
  assertEquals((await scene.row()).votes, ["b"]);
});

Deno.test("a withdrawn vote counts no more, and the log says so", async () => {
  await using scene = await Scene.open();
  await scene.vote("a");
  await scene.withdraw("a");
  await scene.withdraw("a");
  assertEquals(await scene.row(), { ...NONE, state: "closed" });
  await scene.vote("b");
  assertEquals((await scene.row()).state, "closed");
  assertEquals(await scene.log(), [VOTED, VOTED, VOTED]);
  const reasons = await scene.opened.sql`
    select actor, reason from stoma_circuit_breakers_changes order by version`;
  assertEquals(reasons.map(({ actor, reason }) => `${actor} ${reason}`), [
    "a null",
    "a withdrawn",
    "b null",
  ]);
});

Deno.test("votes on a forced circuit open it only after its release", async () => {
  await using scene = await Scene.open();
  await scene.as("ops").force("api", { ...OPEN_FORCE, state: "closed" }, demand());
  await scene.vote("a", "b", "c");
  assertEquals((await scene.row()).state, "closed");
  await scene.as("ops").force("api", { ...OPEN_FORCE, state: undefined }, demand());
  await scene.vote("a");
  assertEquals((await scene.row()).voters, ["a", "b", "c"]);
});

Deno.test("a circuit that is not closed takes no votes", async () => {
  await using scene = await Scene.open();
  await scene.vote("a", "b", "c");
  assertEquals(await scene.row(), { ...NONE, state: "open", voters: ["b", "a"] });
  scene.at += 1000;
  await scene.as("c").claim([{ key: "api", wanted: 1, patienceMs: 0 }], demand());
  const log = await scene.log();
  await scene.vote("c", "d");
  assertEquals(await scene.row(), { ...NONE, state: "half-open", voters: ["b", "a"] });
  assertEquals(await scene.log(), log);
});

Deno.test("the voters are muted when an instance that did not vote closes the circuit", async () => {
  await using scene = await Scene.open();
  await scene.openAndCloseBy("good");
  assertEquals(await scene.row(), { ...NONE, state: "closed", muted: ["b", "a"] });
  const log = await scene.log();
  await scene.vote("a", "b", "a");
  assertEquals(await scene.row(), { ...NONE, state: "closed", muted: ["b", "a"] });
  assertEquals(await scene.log(), log);
  // The circuit has closed for itself.
  await scene.withdraw("a");
  assertEquals(await scene.row(), { ...NONE, state: "closed", muted: ["b"] });
  await scene.vote("b", "a");
  assertEquals((await scene.row()).votes, ["a"]);
});

Deno.test("muted instances stay so when others open the circuit", async () => {
  await using scene = await Scene.open();
  await scene.openAndCloseBy("good");
  await scene.openAndCloseBy("good", ["c", "d"]);
  assertEquals((await scene.row()).muted, ["d", "c", "b", "a"]);
  // A muted instance whose probe succeeds is not muted any more, and mutes those that voted.
  await scene.openAndCloseBy("b", ["e", "f"]);
  assertEquals((await scene.row()).muted, ["f", "e", "d", "c", "a"]);
});

Deno.test("an instance that voted mutes no other by its probe", async () => {
  await using scene = await Scene.open();
  await scene.openAndCloseBy("a");
  assertEquals(await scene.row(), { ...NONE, state: "closed" });
});

Deno.test("a failed probe leaves the voters known", async () => {
  await using scene = await Scene.open();
  await scene.vote("a", "b");
  scene.at += 1000;
  const [claimed] = await scene.as("good").claim(
    [{ key: "api", wanted: 1, patienceMs: 0 }],
    demand(),
  );
  await scene.as("good").settle("api", FAILURE, claimed!, demand());
  await scene.closeBy("good");
  assertEquals((await scene.row()).muted, ["b", "a"]);
});

const ENDS: Record<string, (table: CircuitTable) => Promise<unknown>> = {
  "a reset": (table) => table.reset("api", ACT, demand()),
  "a forced opening": (table) => table.force("api", OPEN_FORCE, demand()),
  "a caller's opening": (table) => table.transition(["api"], "open", demand()),
  "a closing that zeroes failures": async (table) => {
    await table.record([{ key: "api", failures: 1, successes: 0 }], demand());
    await table.transition(["api"], "closed", demand());
  },
};

for (const [name, act] of Object.entries(ENDS)) {
  Deno.test(`${name} ends votes`, async () => {
    await using scene = await Scene.open();
    await scene.vote("a");
    await act(scene.as("ops"));
    const { votes, seen, voters } = await scene.row();
    assertEquals([votes, seen, voters], [null, null, null]);
  });
}

Deno.test("a reset unmutes all instances", async () => {
  await using scene = await Scene.open();
  await scene.openAndCloseBy("good");
  await scene.as("ops").record([{ key: "api", failures: 1, successes: 0 }], demand());
  await scene.as("ops").reset("api", ACT, demand());
  assertEquals(await scene.row(), { ...NONE, state: "closed" });
});

Deno.test("a late failure of a probe opens no circuit, however many failures the fleet counts", async () => {
  await using scene = await Scene.open();
  const table = scene.as("late");
  await table.record([{ key: "api", failures: 9, successes: 0 }], demand());
  await table.settle("api", FAILURE, { version: 1, lastStateChange: START }, demand());
  assertEquals(await scene.row(), { ...NONE, state: "closed" });
});

Deno.test("a row keeps 16 votes, and forced circuits may have had more", async () => {
  await using scene = await Scene.open();
  await scene.as("ops").force("api", { ...OPEN_FORCE, state: "closed" }, demand());
  for (const i of oneTo(20)) {
    scene.at++;
    await scene.vote(`gateway-${i}`);
  }
  const { votes } = await scene.row();
  assertEquals(votes, oneTo(16).map((i) => `gateway-${21 - i}`));
});

Deno.test("a circuit with a standing vote is listed, and stays where others are pruned", async () => {
  await using scene = await Scene.open();
  await scene.vote("a");
  const prune = () => scene.as("ops").prune({ idleMs: 0, limit: 9, isElected: false }, demand());
  const list = { state: undefined, after: undefined, limit: 9 };
  const [listed] = await scene.as("ops").list(list, demand());
  assertEquals(listed!.details.votes, [{ label: "a", seenAt: START }]);
  scene.at += 29_999;
  assertEquals(await prune(), 0);
  scene.at += 3_600_000;
  assertEquals(await prune(), 1);
});

Deno.test("20 instances that vote at once open the circuit once, with a whole quorum", async () => {
  await using scene = await Scene.open();
  const rules = { ...RULES, quorum: 5 };
  const tables = oneTo(20).map((i) => scene.as(`gateway-${i}`, rules));
  await Promise.all(tables.map((table) => table.votes.vote("api", demand())));
  const { state, voters } = await scene.row();
  assertEquals([state, (voters as string[]).length], ["open", 5]);
  assertEquals(await scene.log(), [...oneTo(4).map(() => VOTED), OPENED]);
});
