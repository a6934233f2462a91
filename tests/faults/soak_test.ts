import { assert } from "@std/assert";
import { randomOf } from "../support/random.ts";
import { until } from "../support/until.ts";
import type { Weight } from "./messages.ts";
import { testScenarios } from "./scenario.ts";
import { last, type Stage } from "./stage.ts";

const SECONDS = Number(Deno.env.get("SOAK_SECONDS") || "20");
const SEED = Number(Deno.env.get("SOAK_SEED") || Date.now() % 1_000_000);

const RECOVERY_MS = 2000;

/** How much more than after the first third of the time a process may hold at the end. */
const HEAP_GROWTH_BYTES = 6e6;
const HANDLE_GROWTH = 12;

type Fault = (stage: Stage, random: () => number) => Promise<unknown>;

/** Each begins something, lets it last, and ends it. */
const FAULTS: Record<string, Fault> = {
  hang: async ({ players }, random) => {
    const chosen = players.filter(() => random() < 0.7);
    chosen.forEach(({ proxy }) => proxy.hang());
    await last(900 * random());
    if (random() < 0.5) chosen.forEach(({ proxy }) => proxy.cut());
    await Promise.all(chosen.map(({ proxy }) => proxy.resume()));
  },
  drop: async ({ players }, random) => {
    const chosen = players.filter(() => random() < 0.7);
    chosen.forEach(({ proxy }) => proxy.drop());
    await last(900 * random());
    chosen.forEach(({ proxy }) => proxy.cut());
    await Promise.all(chosen.map(({ proxy }) => proxy.resume()));
  },
  refuse: async (stage, random) => {
    await stage.each(({ proxy }) => random() < 0.5 ? proxy.refuse() : proxy.turnAway());
    await stage.each(({ proxy }) => proxy.cut());
    await last(500 * random());
    await stage.each(({ proxy }) => proxy.resume());
  },
  delay: async (stage, random) => {
    await stage.each(({ proxy }) => proxy.delay(60 * random()));
    await last(500);
    await stage.each(({ proxy }) => proxy.delay(0));
  },
  cut: async (stage) => {
    for (let round = 0; round < 5; round++) {
      await stage.each(({ proxy }) => proxy.cut());
      await last(50);
    }
  },
  terminate: async (stage) => {
    await using sql = stage.connectServer();
    for (let round = 0; round < 5; round++) {
      await stage.terminateAll(sql);
      await last(50);
    }
  },
  kill: async ({ server }) => {
    const { exited } = server;
    server.signal("SIGKILL");
    await exited;
    await server.restart();
  },
};

async function recover(stage: Stage, fault: string): Promise<void> {
  await stage.each(async ({ load }) => {
    const { afterMs, noiseMs } = await load.recover().catch((cause) => {
      throw new Error(`Cannot go on after ${fault}, seed ${SEED}`, { cause });
    });
    const took = Math.round(afterMs - noiseMs);
    assert(took < RECOVERY_MS, `${load.name} recovered ${took} ms after ${fault}, seed ${SEED}`);
  });
}

function weigh(stage: Stage): Promise<Weight[]> {
  return stage.each(({ load }) => load.weigh());
}

testScenarios({
  [`${SECONDS} s of load and random faults (seed ${SEED})`]: {
    async fault(stage) {
      const random = randomOf(SEED);
      const start = performance.now();
      const seconds = () => (performance.now() - start) / 1000;
      let before: Weight[] | undefined;
      while (seconds() < SECONDS) {
        const names = Object.keys(FAULTS);
        const fault = names[Math.floor(random() * names.length)]!;
        await FAULTS[fault]!(stage, random);
        await recover(stage, fault);
        await last(200);
        if (seconds() > SECONDS / 3) before ??= await weigh(stage);
      }
      const after = await weigh(stage);
      for (const [index, { load, mode, proxy }] of stage.players.entries()) {
        const [then, now] = [before![index]!, after[index]!];
        const heap = now.heapBytes - then.heapBytes;
        assert(heap < HEAP_GROWTH_BYTES, `${load.name}: ${heap} bytes more, seed ${SEED}`);
        const handles = (now.handles ?? 0) - (then.handles ?? 0);
        assert(handles <= HANDLE_GROWTH, `${load.name}: ${handles} handles more, seed ${SEED}`);
        // A store that answers from memory listens on one more.
        const connections = load.settings.connections + (mode === "bounded" ? 1 : 0);
        // Connections that are being closed are gone soon; those that were leaked stay.
        await until(() => proxy.open <= connections, 30_000).catch((cause) => {
          throw new Error(`${load.name}: ${proxy.open} connections, seed ${SEED}`, { cause });
        });
      }
    },
    expects: ["StoreUnavailableError"],
    allows: [
      "StoreTimeoutError",
      "StoreUnavailableError 57P01",
      "StoreUnavailableError 57P02",
      "StoreUnavailableError 57P03",
    ],
    stage: { load: { callers: 56, pauseMs: 0, timeoutMs: 1000 } },
  },
});
