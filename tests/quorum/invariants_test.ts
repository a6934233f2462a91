/** What holds of votes whatever instances, operators and the clock do, in any order. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { oneTo } from "../conformance/session.ts";
import { type Gateway, RESET, Scene } from "./scene.ts";

const THRESHOLD = 2;
const INSTANCES = 4;

/** One step: what happens, and to which instance. */
interface Step {
  readonly happens: keyof typeof HAPPENINGS;
  readonly instance: number;
}

/** A fleet on a circuit of its own. */
interface Fleet {
  readonly scene: Scene;
  readonly key: string;
  readonly gateways: Gateway[];
  start(label: string): Gateway;
}

/** All that can happen to an instance, the circuit, or the time. */
const HAPPENINGS = {
  "gets two requests": async ({ gateways, key }: Fleet, i: number) =>
    void await gateways[i]!.requests(2, key),
  breaks: ({ gateways }: Fleet, i: number) => {
    gateways[i]!.isWell = false;
  },
  recovers: ({ gateways }: Fleet, i: number) => {
    gateways[i]!.isWell = true;
  },
  "restarts with its label": (fleet: Fleet, i: number) => {
    const { isWell } = fleet.gateways[i]!;
    fleet.gateways[i] = fleet.start(`gateway-${i}`);
    fleet.gateways[i]!.isWell = isWell;
  },
  "is closed and starts again": async (fleet: Fleet, i: number) => {
    await fleet.gateways[i]!.store.close();
    HAPPENINGS["restarts with its label"](fleet, i);
  },
  "reports a late failure": async ({ gateways, key }: Fleet, i: number) =>
    void await gateways[i]!.store.recordFailure(key),
  "opens the circuit": async ({ gateways, key }: Fleet, i: number) =>
    void await gateways[i]!.store.transition(key, "open"),
  "closes the circuit": async ({ gateways, key }: Fleet, i: number) =>
    void await gateways[i]!.store.transition(key, "closed"),
  "resets the circuit": ({ gateways, key }: Fleet, i: number) => gateways[i]!.store.reset(key),
  "forces it closed": async ({ gateways, key }: Fleet, i: number) =>
    void await gateways[i]!.store.forceClosed(key, { forMs: 5000 }),
  "waits for a renewal": ({ scene }: Fleet) => {
    scene.at += 10_000;
  },
  "waits for the reset timeout": ({ scene }: Fleet) => {
    scene.at += RESET;
  },
  "waits until votes have ended": ({ scene }: Fleet) => {
    scene.at += 30_000;
  },
} as const;

const WEIGHTS: Partial<Record<keyof typeof HAPPENINGS, number>> = {
  "gets two requests": 20,
  breaks: 6,
  recovers: 2,
  "waits for the reset timeout": 2,
};

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    happens: fc.oneof(
      ...(Object.keys(HAPPENINGS) as (keyof typeof HAPPENINGS)[]).map((name) => ({
        weight: WEIGHTS[name] ?? 1,
        arbitrary: fc.constant(name),
      })),
    ),
    instance: fc.nat({ max: INSTANCES - 1 }),
  }),
  { minLength: 40, maxLength: 80, size: "max" },
);

/** What the row says of votes. */
async function rowOf({ scene, key }: Fleet) {
  const [row] = await scene.sql`
    select json_build_object('state', state, 'votes', coalesce(vote_labels, '{}'),
      'voters', coalesce(voters, '{}'))::text as row from stoma_circuit_breakers where key = ${key}`;
  const absent = { state: "closed", votes: [], voters: [] };
  return row === undefined
    ? absent
    : JSON.parse(row.row) as { state: string; votes: string[]; voters: string[] };
}

/** Whose votes, by the log, had been cast at each opening of the fleet's circuit, and not ended. */
async function castAtOpenings({ scene, key }: Fleet): Promise<Set<string>[]> {
  const log = await scene.sql`
    select from_state, to_state, cause, actor, reason from stoma_circuit_breakers_changes
    where key = ${key} order by version`;
  const openings: Set<string>[] = [];
  let cast = new Set<string>();
  let before = "closed";
  for (const { from_state, to_state, cause, actor, reason } of log) {
    assertEquals(from_state, before);
    before = to_state;
    // An open circuit that was forced closed shows its own state again when that has ended.
    if (from_state === "closed" && to_state === "open") assert(["vote", "expiry"].includes(cause));
    if (cause === "vote") {
      if (reason === "withdrawn") cast.delete(actor);
      else cast.add(actor);
      if (to_state === "open") openings.push(cast);
    }
    if (to_state !== "closed" || ["reset", "zeroed"].includes(cause)) cast = new Set();
  }
  return openings;
}

Deno.test("the fleet's circuit opens only by a quorum of votes, and that ends them", async () => {
  await using scene = await Scene.open();
  let runs = 0;
  let openings = 0;
  const property = fc.asyncProperty(fc.constantFrom(2, 3), steps, async (quorum, steps) => {
    const key = `api ${++runs}`;
    const start = (label: string) => scene.gateway(label, { quorum, failureThreshold: THRESHOLD });
    const gateways = oneTo(INSTANCES).map((i) => start(`gateway-${i - 1}`));
    const fleet = { scene, key, gateways, start };
    const voted: string[][] = [];
    let before = "closed";
    for (const { happens, instance } of steps) {
      await HAPPENINGS[happens](fleet, instance);
      await scene.idle();
      const { state, votes, voters } = await rowOf(fleet);
      if (state === "open" && before === "closed") voted.push(voters);
      before = state;
      assertEquals(state === "closed" ? voters : votes, []);
      assertEquals(new Set(votes).size, votes.length);
    }
    await Promise.all(gateways.map(({ store }) => store.close()));
    const cast = await castAtOpenings(fleet);
    assertEquals(cast.length, voted.length);
    for (const [i, voters] of voted.entries()) {
      assert(new Set(voters).size >= quorum, `${voters} of ${quorum}`);
      assert(voters.every((label) => cast[i]!.has(label)), `${voters} of ${[...cast[i]!]}`);
    }
    openings += voted.length;
  });
  const seed = Deno.env.get("SEED");
  await fc.assert(property, { numRuns: 25, ...seed !== undefined && { seed: Number(seed) } });
  assert(openings >= 10, `only ${openings} openings`);
});
