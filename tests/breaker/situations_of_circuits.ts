/** Situations of circuits: when they open, how they are probed, what late results do. */

import * as cockatiel from "cockatiel";
import { CircuitBreaker } from "../../mod.ts";
import { endOf, newCockatiel, withOpossum } from "./peers.ts";
import type { Situation } from "./situations.ts";
import { down, fail, keepingAlive, memoryBreaker, pending } from "./stage.ts";

/** A breaker whose circuit is open. */
async function openBreaker(...args: Parameters<typeof memoryBreaker>) {
  const stage = memoryBreaker(...args);
  await fail(stage.breaker, "api", 3);
  return stage;
}

/** A breaker whose circuit admits a probe. */
async function dueBreaker(...args: Parameters<typeof memoryBreaker>) {
  const stage = await openBreaker(...args);
  stage.clock.at += 10_000;
  return stage;
}

/** Five calls in flight fail one after the other, then one more is made. */
async function atTheThreshold(execute: (call: () => Promise<unknown>) => Promise<unknown>) {
  const calls = Array.from({ length: 5 }, () => pending());
  const ends = calls.map(({ call }) => endOf(() => execute(call)));
  await Promise.all(calls.map(({ called }) => called));
  for (const { reject } of calls) reject(new Error("down"));
  return [...await Promise.all(ends), await endOf(() => execute(() => Promise.resolve(1)))];
}

/** A call ends well after the circuit has opened meanwhile. */
async function lateSuccess(execute: (call: () => Promise<unknown>) => Promise<unknown>) {
  const late = pending();
  const end = endOf(() => execute(late.call));
  await late.called;
  for (let time = 0; time < 3; time++) await endOf(() => execute(down));
  late.resolve("late");
  return [await end, await endOf(() => execute(() => Promise.resolve(1)))];
}

/** Half of the calls fail, up to a number of calls, then one more is made. */
async function halfOfThem(
  execute: (call: () => Promise<unknown>) => Promise<unknown>,
  calls: number,
) {
  for (let call = 0; call < calls; call++) {
    await endOf(() => execute(call % 2 === 0 ? down : () => Promise.resolve(1)));
  }
  return await endOf(() => execute(() => Promise.resolve("more")));
}

const RATE = {
  trip: undefined,
  failureThreshold: undefined,
  failureRateThreshold: 0.5,
  minimumThroughput: 10,
} as const;

export const CIRCUIT_SITUATIONS: readonly Situation[] = [
  {
    situation:
      "calls in flight when the threshold is reached end by themselves, and the next is refused",
    peers: ["opossum", "cockatiel"],
    ours: () => {
      const { breaker } = memoryBreaker();
      return atTheThreshold((call) => breaker.execute("api", call));
    },
    expected: [...Array(5).fill("threw down"), "refused"],
    oracles: {
      cockatiel: () => {
        const breaker = newCockatiel();
        return atTheThreshold((call) => breaker.execute(call));
      },
      opossum: () => withOpossum((breaker) => atTheThreshold((call) => breaker.fire(call))),
    },
  },
  {
    situation: "a success that comes when the circuit has opened leaves it open",
    peers: ["opossum", "cockatiel"],
    ours: () => {
      const { breaker } = memoryBreaker();
      return lateSuccess((call) => breaker.execute("api", call));
    },
    expected: ["returned late", "refused"],
    oracles: {
      cockatiel: () => {
        const breaker = newCockatiel();
        return lateSuccess((call) => breaker.execute(call));
      },
      opossum: () => withOpossum((breaker) => lateSuccess((call) => breaker.fire(call))),
    },
  },
  {
    situation: "a probe that ends after its round has changed nothing",
    peers: ["cockatiel"],
    ours: async () => {
      const { breaker, clock } = await dueBreaker();
      const hung = pending();
      const end = endOf(() => breaker.execute("api", hung.call));
      await hung.called;
      clock.at += 15_000; // the lease of the probe, and the patience of its instance, are over
      await fail(breaker, "api", 1);
      hung.resolve("late");
      return [await end, await breaker.isOpen("api")];
    },
    expected: ["returned late", true],
  },
  {
    situation: "a circuit needs a number of calls before a rate opens it",
    peers: ["opossum", "cockatiel"],
    ours: async () => {
      const few = memoryBreaker({}, RATE).breaker;
      const many = memoryBreaker({}, RATE).breaker;
      return [
        await halfOfThem((call) => few.execute("api", call), 8),
        await halfOfThem((call) => many.execute("api", call), 12),
      ];
    },
    expected: ["returned more", "refused"],
    oracles: {
      cockatiel: async () => {
        const options = { size: 20, threshold: 0.45, minimumNumberOfCalls: 10 };
        const [few, many] = [1, 2].map(() => newCockatiel(new cockatiel.CountBreaker(options)));
        return [
          await halfOfThem((call) => few!.execute(call), 8),
          await halfOfThem((call) => many!.execute(call), 12),
        ];
      },
      opossum: async () => {
        const options = { volumeThreshold: 10, errorThresholdPercentage: 45 };
        return [
          await withOpossum((few) => halfOfThem((call) => few.fire(call), 8), options),
          await withOpossum((many) => halfOfThem((call) => many.fire(call), 12), options),
        ];
      },
    },
  },
  {
    situation: "the number of calls does not matter for a probe: one failure opens again",
    peers: ["opossum"],
    ours: async () => {
      const { breaker, clock } = memoryBreaker({}, { ...RATE, resetTimeoutMs: 10_000 });
      await fail(breaker, "api", 10);
      clock.at += 10_000;
      await fail(breaker, "api", 1);
      return await endOf(() => breaker.execute("api", () => 1));
    },
    expected: "refused",
    oracles: {
      opossum: () =>
        withOpossum(async (breaker) => {
          using _ = keepingAlive();
          const halfOpen = new Promise<void>((resolve) => breaker.on("halfOpen", () => resolve()));
          for (let call = 0; call < 10; call++) await endOf(() => breaker.fire(down));
          await halfOpen;
          await endOf(() => breaker.fire(down));
          return await endOf(() => breaker.fire(() => Promise.resolve(1)));
        }, { volumeThreshold: 10, resetTimeout: 20 }),
    },
  },
  {
    situation: "a new breaker opens by its first failures, without a time to warm up",
    peers: ["opossum"],
    because: "minimumThroughput says how many calls a rate needs, also of a new circuit",
    ours: async () => {
      const { breaker } = memoryBreaker();
      await fail(breaker, "api", 3);
      return await endOf(() => breaker.execute("api", () => 1));
    },
    expected: "refused",
    oracles: {
      opossum: () =>
        withOpossum(async (breaker) => {
          for (let call = 0; call < 3; call++) await endOf(() => breaker.fire(down));
          return await endOf(() => breaker.fire(() => 1));
        }, { allowWarmUp: true }),
    },
  },
  {
    situation: "failures leave the window",
    peers: ["opossum", "Deno std"],
    ours: async () => {
      const { breaker, clock } = memoryBreaker({}, { failureWindowMs: 5000 });
      await fail(breaker, "api", 2);
      clock.at += 5000;
      await fail(breaker, "api", 2);
      const before = await breaker.isOpen("api");
      await fail(breaker, "api", 1);
      return [before, await breaker.isOpen("api")];
    },
    expected: [false, true],
  },
  {
    situation: "a half-open circuit lets one call through, and refuses the others",
    peers: ["opossum"],
    ours: async () => {
      const { breaker } = await dueBreaker();
      const probe = pending();
      const first = endOf(() => breaker.execute("api", probe.call));
      await probe.called;
      const second = await endOf(() => breaker.execute("api", () => 1));
      probe.resolve("back");
      return [await first, second, await endOf(() => breaker.execute("api", () => 1))];
    },
    expected: ["returned back", "refused", "returned 1"],
    oracles: {
      opossum: () =>
        withOpossum(async (breaker) => {
          using _ = keepingAlive();
          const halfOpen = new Promise<void>((resolve) => breaker.on("halfOpen", () => resolve()));
          for (let call = 0; call < 3; call++) await endOf(() => breaker.fire(down));
          await halfOpen;
          const probe = pending();
          const first = endOf(() => breaker.fire(probe.call));
          await probe.called;
          const second = await endOf(() => breaker.fire(() => 1));
          probe.resolve("back");
          return [await first, second, await endOf(() => breaker.fire(() => 1))];
        }, { resetTimeout: 20 }),
    },
  },
  {
    situation: "calls beyond the probes of a half-open circuit do not wait for it",
    peers: ["cockatiel"],
    because: "the probe can be another instance's, and a caller can do something better than wait",
    ours: async () => {
      const { breaker } = await dueBreaker();
      const probe = pending();
      void breaker.execute("api", probe.call);
      await probe.called;
      const end = await endOf(() => breaker.execute("api", () => 1));
      probe.resolve("back");
      return end;
    },
    expected: "refused",
    oracles: {
      cockatiel: async () => {
        const breaker = newCockatiel(undefined, 0);
        for (let call = 0; call < 3; call++) await endOf(() => breaker.execute(down));
        const probe = pending();
        void breaker.execute(probe.call);
        await probe.called;
        const end = endOf(() => breaker.execute(() => 1));
        probe.resolve("back");
        return await end;
      },
    },
  },
  {
    situation: "several probes decide together",
    peers: ["cockatiel", "Deno std"],
    ours: async () => {
      const { breaker } = await dueBreaker({}, { halfOpenMax: 2, successThreshold: 2 });
      const ends = [];
      for (let call = 0; call < 2; call++) {
        ends.push(await breaker.execute("api", ({ isProbe }) => isProbe));
        ends.push((await breaker.snapshot("api")).state);
      }
      return ends;
    },
    expected: [true, "half-open", true, "closed"],
  },
  {
    situation: "a probe that fails opens the circuit again",
    peers: ["opossum", "cockatiel", "Deno std"],
    ours: async () => {
      const { breaker } = await dueBreaker();
      return [
        await endOf(() => breaker.execute("api", down)),
        await endOf(() => breaker.execute("api", () => 1)),
      ];
    },
    expected: ["threw down", "refused"],
    oracles: {
      cockatiel: async () => {
        const breaker = newCockatiel(undefined, 30);
        for (let call = 0; call < 3; call++) await endOf(() => breaker.execute(down));
        // Its clock is Date.now(), and nothing says when it is due.
        await new Promise((resolve) => setTimeout(resolve, 31));
        return [
          await endOf(() => breaker.execute(down)),
          await endOf(() => breaker.execute(() => 1)),
        ];
      },
    },
  },
  {
    situation: "the time that a circuit stays open grows with each failed probe, and is forgotten",
    peers: ["cockatiel"],
    ours: async () => {
      const resetBackoff = { factor: 2, maxMs: 60_000, jitter: 0 };
      const { breaker, clock } = await dueBreaker({}, { resetBackoff });
      await fail(breaker, "api", 1);
      clock.at += 19_999;
      const early = await endOf(() => breaker.execute("api", () => 1));
      clock.at += 1;
      return [early, await endOf(() => breaker.execute("api", () => 1))];
    },
    expected: ["refused", "returned 1"],
  },
  {
    situation: "an error that is no failure closes a half-open circuit",
    peers: ["opossum"],
    ours: async () => {
      const { breaker } = await dueBreaker();
      const classify = () => "success" as const;
      const end = await endOf(() => breaker.execute("api", down, { classify }));
      return [end, (await breaker.snapshot("api")).state];
    },
    expected: ["threw down", "closed"],
  },
  {
    situation: "a probe that says nothing about the upstream gives its slot back",
    peers: ["Deno std"],
    because: "neither a success nor a failure would be true, so another call probes at once",
    ours: async () => {
      const { breaker } = await dueBreaker();
      const classify = () => "ignored" as const;
      return [
        await endOf(() => breaker.execute("api", down, { classify })),
        (await breaker.snapshot("api")).state,
        await breaker.execute("api", ({ isProbe }) => isProbe),
      ];
    },
    expected: ["threw down", "half-open", true],
  },
  {
    situation: "an operator holds a circuit open, and its refusals say so",
    peers: ["cockatiel", "Deno std"],
    ours: async () => {
      const { breaker, store, clock } = memoryBreaker();
      await store.forceOpen("api", { reason: "maintenance" });
      clock.at += 1e9;
      const error = await breaker.execute("api", () => 1).catch((error) => error);
      await store.release("api");
      return [error.isForced, error.reason, await endOf(() => breaker.execute("api", () => 1))];
    },
    expected: [true, "maintenance", "returned 1"],
  },
  {
    situation: "a breaker that is switched off refuses nothing",
    peers: ["opossum"],
    ours: async () => {
      const { breaker } = memoryBreaker({}, { mode: "observe" });
      await fail(breaker, "api", 10);
      return await endOf(() => breaker.execute("api", () => 1));
    },
    expected: "returned 1",
    oracles: {
      opossum: () =>
        withOpossum(async (breaker) => {
          for (let call = 0; call < 10; call++) await endOf(() => breaker.fire(down));
          return await endOf(() => breaker.fire(() => 1));
        }, { enabled: false }),
    },
  },
  {
    situation: "a new breaker goes on with the circuits as they are",
    peers: ["opossum", "cockatiel"],
    ours: async () => {
      const { store } = await openBreaker();
      return await endOf(() => new CircuitBreaker(store).execute("api", () => 1));
    },
    expected: "refused",
  },
];
