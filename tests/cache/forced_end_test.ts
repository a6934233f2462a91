/** The end of a forced state, which a cache sees by the time of the database as far as it knows it. */

import { assertEquals } from "@std/assert";
import { CachedCircuit } from "../../src/cache/cached_circuit.ts";
import { ABSENT_CIRCUIT, type Circuit } from "../../src/circuit.ts";
import { forcedAt } from "../../src/rules/forcing.ts";

/** The time of the database at the moment 0 of the instance's clock. */
const EPOCH = 1_800_000_000_000;

/** A circuit that is forced open until moment 100, and an instance's clock. */
class Scene {
  now = 0;
  readonly entry: CachedCircuit = new CachedCircuit(
    "a",
    { clock: () => this.now, now: undefined },
    false,
  );
  #order = 0;

  /** An answer that is here now. It was asked for, and read, at these moments. */
  learn(askedAt: number, readAt: number): void {
    const forced = {
      state: "open",
      at: EPOCH,
      until: EPOCH + 100,
      reason: undefined,
      by: undefined,
    };
    const circuit = { ...ABSENT_CIRCUIT, key: "a", version: 7, forced, readAt: EPOCH + readAt };
    const asked = { order: ++this.#order, at: askedAt };
    this.entry.learn({
      circuit: circuit as Circuit,
      asked,
      order: ++this.#order,
      isWrite: false,
    });
  }

  get isForced(): boolean {
    const circuit = this.entry.shown(this.now)!;
    return forcedAt(circuit.forced, circuit.readAt) !== undefined;
  }
}

Deno.test("CachedCircuit does not show a forced state again by an answer that was long under way", () => {
  const scene = new Scene();
  scene.learn(0, 0);
  assertEquals(scene.isForced, true);
  scene.now = 150;
  assertEquals(scene.isForced, false);
  scene.learn(40, 50);
  assertEquals(scene.isForced, false);
  scene.now = 151;
  assertEquals(scene.isForced, false);
});

Deno.test("CachedCircuit follows a clock of the database that was set back", () => {
  const scene = new Scene();
  scene.learn(0, 0);
  scene.now = 150;
  assertEquals(scene.isForced, false);
  scene.learn(140, 50);
  assertEquals(scene.isForced, true);
  scene.now = 201;
  assertEquals(scene.isForced, false);
});

Deno.test("CachedCircuit does not take a clock that jumped for the end of a forced state", () => {
  const scene = new Scene();
  scene.learn(0, 0);
  // Nothing is shown until the answer is here: the known circuit is too old.
  scene.now = 10_000;
  scene.learn(40, 50);
  assertEquals(scene.isForced, true);
});
