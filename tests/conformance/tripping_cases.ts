/** Rules of the store's own: windows, rates and slow calls, and who opens the circuit. */

import { assertEquals, assertMatch } from "@std/assert";
import type { PermitOutcome, ResultOptions } from "../../mod.ts";
import { KEY, RESET } from "./breaking.ts";
import {
  type Configured,
  failureOf,
  LABEL,
  oneTo,
  type StoreOptions,
  type Suite,
} from "./session.ts";

const WINDOW = 10_000;
const BY_STORE: StoreOptions = { resetTimeoutMs: RESET };
const THRESHOLD: StoreOptions = { ...BY_STORE, trip: "store", failureThreshold: 3 };
const WINDOWED: StoreOptions = { ...BY_STORE, failureThreshold: 3, failureWindowMs: WINDOW };
const RATE: StoreOptions = {
  ...BY_STORE,
  failureRateThreshold: 0.5,
  windowMs: WINDOW,
  minimumThroughput: 10,
};
const SLOW: StoreOptions = {
  ...BY_STORE,
  slowCallRateThreshold: 0.5,
  slowCallDurationMs: 200,
  windowMs: WINDOW,
  minimumThroughput: 4,
};

/** Records results one by one, `f` for a failure and `s` for a success. Returns the states after them. */
async function states({ store }: Configured, results: string): Promise<string> {
  let shown = "";
  for (const result of results) {
    const { state } = result === "f"
      ? await store.recordFailure(KEY)
      : await store.recordSuccess(KEY);
    shown += state === "closed" ? "." : "O";
  }
  return shown;
}

/** The history of the circuit: who did what to it. */
async function historyOf({ store }: Configured): Promise<string[]> {
  const changes = await store.history({ key: KEY });
  return changes.map((change) =>
    `${change.from} -> ${change.to} by ${change.cause} of ${change.actor}, ` +
    `${change.failureCount} and ${change.successCount}`
  );
}

export function trippingTests({ configured, fleet }: Suite): void {
  configured("the failure that reaches the threshold opens the circuit", THRESHOLD, async (c) => {
    assertEquals(await states(c, "fsfsf"), "....O");
    assertEquals(await historyOf(c), [`closed -> open by trip of ${LABEL}, 3 and 2`]);
    const { state, failureCount, lastStateChange } = await c.store.peek(KEY);
    assertEquals([state, failureCount, lastStateChange], ["open", 3, 1000]);
    assertEquals((await c.store.list())[0]!.openedAt, 1000);
  });

  configured("an open circuit stays as it is when more calls fail", THRESHOLD, async (c) => {
    await states(c, "fff");
    const { version } = (await c.store.list())[0]!;
    c.clock.at += 10;
    assertEquals(await states(c, "fffs"), "OOOO");
    const listed = (await c.store.list())[0]!;
    assertEquals([listed.version, listed.lastStateChange], [version, 1000]);
    assertEquals((await historyOf(c)).length, 1);
  });

  configured("a circuit that closes begins to count anew", THRESHOLD, async (c) => {
    for (const round of oneTo(3)) {
      assertEquals(await states(c, "fff"), "..O", `round ${round}`);
      c.clock.at += RESET;
      assertEquals((await c.store.getState(KEY)).state, "half-open");
      assertEquals((await c.store.transition(KEY, "closed")).state, "closed");
    }
    assertEquals((await historyOf(c)).length, 9);
  });

  const one: StoreOptions = { ...THRESHOLD, failureThreshold: 1 };
  configured("a circuit without a row opens by its first failure", one, async (c) => {
    assertEquals(await states(c, "f"), "O");
    assertEquals(await historyOf(c), [`closed -> open by trip of ${LABEL}, 1 and 0`]);
  });

  configured("each of several circuits without a row opens if it is due", THRESHOLD, async (c) => {
    const failures = ["a", "a", "b", "a", "b", "c", "c", "c", "c"];
    const answers = await Promise.all(failures.map((key) => c.store.recordFailure(key)));
    assertEquals(await openKeys(c), ["a", "c"]);
    const opened = answers.filter(({ state }) => state === "open");
    assertEquals(Math.max(...opened.map(({ failureCount }) => failureCount)), 4);
  });

  configured(
    "only failures of the window open the circuit, to the millisecond",
    WINDOWED,
    async (c) => {
      await states(c, "ff");
      c.clock.at += WINDOW;
      assertEquals(await states(c, "ff"), "..");
      c.clock.at += WINDOW - 1;
      assertEquals(await states(c, "f"), "O");
    },
  );

  const many: StoreOptions = { ...WINDOWED, failureThreshold: 150 };
  configured("a threshold above a hundred is judged by tenths of the window", many, async (c) => {
    for (const _ of oneTo(10)) {
      assertEquals(await states(c, "ffffffffffffff"), "..............");
      c.clock.at += 1000;
    }
    // The first tenth has left the window.
    assertEquals(await states(c, "ffffffffffffff"), "..............");
    assertEquals(await states(c, "ffffffffff"), ".........O");
  });

  configured("a rate opens the circuit from the least number of calls on", RATE, async (c) => {
    assertEquals(await states(c, "fffffffff"), ".........");
    assertEquals(await states(c, "f"), "O");
    assertEquals(await historyOf(c), [`closed -> open by trip of ${LABEL}, 10 and 0`]);
  });

  configured("a success opens the circuit where it makes the rate due", RATE, async (c) => {
    assertEquals(await states(c, "fffffssss"), ".........");
    assertEquals(await states(c, "s"), "O");
    assertEquals(await historyOf(c), [`closed -> open by trip of ${LABEL}, 5 and 5`]);
  });

  configured("a rate below the threshold never opens the circuit", RATE, async (c) => {
    for (const _ of oneTo(30)) {
      assertEquals(await states(c, "ssfsf"), ".....");
      c.clock.at += 100;
    }
    assertEquals(await historyOf(c), []);
  });

  configured("calls leave the window of a rate", RATE, async (c) => {
    assertEquals(await states(c, "fffffffff"), ".........");
    c.clock.at += WINDOW;
    assertEquals(await states(c, "sfsfs"), ".....");
    c.clock.at += WINDOW - 1000;
    assertEquals(await states(c, "ffff"), "....");
    assertEquals(await states(c, "f"), "O");
  });

  configured("slow calls open the circuit, whether or not they fail", SLOW, async (c) => {
    const slow = { durationMs: 200 };
    await c.store.recordSuccess(KEY, slow);
    await c.store.recordSuccess(KEY, { durationMs: 199.9 });
    await c.store.recordSuccess(KEY, {});
    assertEquals((await c.store.recordFailure(KEY, { durationMs: 0 })).state, "closed");
    assertEquals((await c.store.recordSuccess(KEY, slow)).state, "closed");
    assertEquals((await c.store.recordFailure(KEY, slow)).state, "open");
    assertEquals(await historyOf(c), [`closed -> open by trip of ${LABEL}, 2 and 4`]);
  });

  configured("permits say how long their calls took, too", SLOW, async (c) => {
    const report = async (outcome: PermitOutcome, options?: ResultOptions) =>
      await (await c.store.acquire(KEY)).report(outcome, options);
    assertEquals(await report("success", { durationMs: 199.9 }), "closed");
    for (const options of [{}, undefined, { durationMs: 0 }]) {
      assertEquals(await report("failure", options), "closed");
    }
    for (const outcome of ["success", "failure", "success"] as const) {
      assertEquals(await report(outcome, { durationMs: 200 }), "closed");
    }
    assertEquals(await report("success", { durationMs: 200 }), "open");
  });

  configured("failures alone do not make calls slow", SLOW, async (c) => {
    assertEquals(await states(c, "ffffffff"), "........");
  });

  configured("a result says how long its call took in milliseconds from 0", SLOW, async (c) => {
    for (const durationMs of [-1, NaN, -0.1]) {
      const error = await failureOf(() => c.store.recordSuccess(KEY, { durationMs }));
      assertMatch(String(error), /^RangeError: Cannot record success: "durationMs"/);
    }
    const wrong: unknown[] = [{ durationMs: "1" }, { durationMS: 1 }, 5, null];
    for (const options of wrong as { durationMs: number }[]) {
      const error = await failureOf(() => c.store.recordFailure(KEY, options));
      assertMatch(String(error), /^TypeError: Cannot record failure: "(durationMs|options)"/);
    }
    assertEquals(await c.store.list(), []);
    for (const durationMs of [0, Infinity, undefined]) {
      await c.store.recordSuccess(KEY, { durationMs });
    }
    assertEquals((await c.store.peek(KEY)).successCount, 3);
  });

  for (const [name, options] of Object.entries({ THRESHOLD, WINDOWED, RATE })) {
    configured(`a caller opens only a circuit that is due: ${name}`, options, async (c) => {
      assertEquals((await c.store.transition(KEY, "open")).state, "closed");
      assertEquals(await c.store.list(), []);
      await states(c, "f");
      assertEquals((await c.store.transition(KEY, "open")).state, "closed");
      assertEquals(await historyOf(c), []);
      // An operator's will is no caller's.
      assertEquals((await c.store.forceOpen(KEY)).state, "open");
    });
  }

  configured("a late result of a probe opens only a circuit that is due", THRESHOLD, async (c) => {
    await states(c, "fff");
    c.clock.at += RESET;
    assertEquals((await c.store.getState(KEY)).state, "half-open");
    await c.store.transition(KEY, "closed");
    assertEquals(await states(c, "ff"), "..");
    assertEquals((await c.store.transition(KEY, "open")).state, "closed");
    assertEquals(await states(c, "f"), "O");
  });

  configured("a forced state is not opened over", THRESHOLD, async (c) => {
    await c.store.forceClosed(KEY, { forMs: 5000 });
    assertEquals(await states(c, "fffff"), ".....");
    c.clock.at += 5000;
    assertEquals(await states(c, "f"), "O");
    assertEquals((await c.store.peek(KEY)).state, "open");
    assertEquals((await historyOf(c)).at(-1), `closed -> open by trip of ${LABEL}, 6 and 0`);
    c.clock.at -= 5000;
    assertEquals((await c.store.peek(KEY)).state, "open");
  });

  configured("reset() and closing forget the calls of a rate", RATE, async (c) => {
    assertEquals(await states(c, "fffffffff"), ".........");
    await c.store.reset(KEY);
    assertEquals(await states(c, "fffffffff"), ".........");
    await c.store.transition(KEY, "closed");
    assertEquals(await states(c, "fffffffff"), ".........");
    assertEquals(await states(c, "f"), "O");
  });

  fleet("calls that share a statement are judged once, after all of them", THRESHOLD, async (f) => {
    await f.store.recordSuccess(KEY);
    const failures = oneTo(20).map(() => f.store.recordFailure(KEY));
    const successes = oneTo(10).map(() => f.store.recordSuccess(KEY));
    const failed = await Promise.all(failures);
    assertEquals(failed.map(({ failureCount }) => failureCount), oneTo(20));
    assertEquals(new Set(failed.map(({ state }) => state)), new Set(["open"]));
    const succeeded = await Promise.all(successes);
    assertEquals(succeeded.map(({ successCount }) => successCount), oneTo(10).map((i) => i + 1));
    assertEquals(await historyOf(f), [`closed -> open by trip of ${LABEL}, 20 and 11`]);
  });

  fleet("the calls of all instances count for one rate", RATE, async (f) => {
    const stores = [f.store, f.another(), f.another({ instanceId: "last" })];
    for (const store of [...stores, ...stores, ...stores]) {
      assertEquals((await store.recordFailure(KEY)).state, "closed");
    }
    assertEquals((await stores[2]!.recordSuccess(KEY)).state, "open");
    assertEquals((await f.store.getState(KEY)).state, "open");
    assertEquals(await historyOf(f), ["closed -> open by trip of last, 9 and 1"]);
  });

  const twenty = { ...RATE, minimumThroughput: 20 };
  fleet(
    "60 percent of errors open a circuit with the fleet's twentieth call",
    twenty,
    async (f) => {
      const stores = [f.store, f.another(), f.another(), f.another(), f.another()];
      for (const call of oneTo(20)) {
        const store = stores[call % stores.length]!;
        // Two successes in five calls.
        const isFailure = "fsfsf"[(call * 2 + Math.floor(call / 5)) % 5] === "f";
        const { state } = isFailure
          ? await store.recordFailure(KEY)
          : await store.recordSuccess(KEY);
        assertEquals(state, call < 20 ? "closed" : "open", `call ${call}`);
      }
      const { failureCount, successCount } = await f.store.peek(KEY);
      assertEquals([failureCount, successCount], [12, 8]);
    },
  );

  fleet("instances with other windows keep each other's calls", RATE, async (f) => {
    const wide = f.another({ windowMs: 6 * WINDOW, minimumThroughput: 30 });
    const failing = async (store: typeof wide, calls: number) => {
      for (const _ of oneTo(calls)) {
        assertEquals((await store.recordFailure(KEY)).state, "closed");
      }
    };
    await failing(f.store, 9);
    f.clock.at += WINDOW;
    await failing(wide, 7);
    f.clock.at += WINDOW;
    await failing(f.store, 8);
    await failing(wide, 1);
    f.clock.at += WINDOW;
    await failing(wide, 4);
    assertEquals((await wide.recordFailure(KEY)).state, "open");
  });
}

async function openKeys({ store }: Configured): Promise<string[]> {
  return (await store.list({ state: "open" })).map(({ key }) => key);
}
