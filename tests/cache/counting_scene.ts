/** What tests of counting share. */

import { type ModelInstance, Scene } from "./model_network.ts";

/** A scene in which one instance uses circuit "a" regularly, which has a row. */
export async function openScene(): Promise<{ scene: Scene; one: ModelInstance }> {
  const scene = new Scene();
  scene.database.addCircuits(["a"]);
  const one = scene.open();
  await one.useRegularly("a");
  return { scene, one };
}

/** Records successes of a circuit, one after the other. */
export async function recordMany(one: ModelInstance, key: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++) await one.recordSuccess(key);
}

/** Passes the time until a statement is in flight, answering all others. */
export async function until(
  scene: Scene,
  one: ModelInstance,
  method: "flush" | "findFlush",
): Promise<void> {
  for (let step = 0; step < 200; step++) {
    if (one.inFlight.some((each) => each.method === method)) return;
    for (const each of [...one.inFlight]) await one.answer(each.method);
    if (one.inFlight.some((each) => each.method === method)) return;
    await scene.timers.advance(50);
  }
  throw new Error(`no ${method} was sent in 10 s`);
}

/** The successes that the database has counted. */
export function stored(scene: Scene, key = "a"): number {
  return scene.database.read(key)?.successCount ?? 0;
}
