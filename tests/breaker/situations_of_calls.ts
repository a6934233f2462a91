/** Situations of calls: how they end, what they throw, who gives up. */

import * as cockatiel from "cockatiel";
import { CircuitBreaker } from "../../mod.ts";
import { endOf, newCockatiel, withOpossum } from "./peers.ts";
import type { Situation } from "./situations.ts";
import { down, fail, keepingAlive, memoryBreaker, memoryStore, pending } from "./stage.ts";

/** A breaker whose calls time out soon. */
function hastyBreaker(options: Parameters<typeof memoryBreaker>[0] = {}) {
  return memoryBreaker({ callTimeoutMs: 20, ...options });
}

export const CALL_SITUATIONS: readonly Situation[] = [
  {
    situation: "a function that throws at once fails as one that rejects",
    peers: ["opossum", "cockatiel", "Deno std"],
    ours: async () => {
      const { breaker } = memoryBreaker();
      const call = () => {
        throw new Error("at once");
      };
      const ends = [];
      for (let time = 0; time < 4; time++) {
        ends.push(await endOf(() => breaker.execute("api", call)));
      }
      return ends;
    },
    expected: ["threw at once", "threw at once", "threw at once", "refused"],
    oracles: {
      cockatiel: async () => {
        const breaker = newCockatiel();
        const call = () => {
          throw new Error("at once");
        };
        const ends = [];
        for (let time = 0; time < 4; time++) ends.push(await endOf(() => breaker.execute(call)));
        return ends;
      },
    },
  },
  {
    situation: "a function that returns no promise",
    peers: ["opossum"],
    ours: () => endOf(() => memoryBreaker().breaker.execute("api", () => 5)),
    expected: "returned 5",
    oracles: { opossum: () => withOpossum((breaker) => endOf(() => breaker.fire(() => 5))) },
  },
  {
    situation: "what is no function is refused",
    peers: ["opossum"],
    because: "a value needs no breaker, and is a mistake",
    ours: () => endOf(() => memoryBreaker().breaker.execute("api", 5 as never)),
    expected: 'threw Cannot execute call: "fn" must be a function, received 5',
  },
  {
    situation: "values that are no errors are thrown as they are, and fail",
    peers: ["cockatiel"],
    ours: async () => {
      const { breaker, store } = memoryBreaker({}, { failureThreshold: 10 });
      const thrown: unknown[] = [];
      for (const value of ["text", 0, null, undefined]) {
        await breaker.execute("api", () => Promise.reject(value)).catch((error) =>
          thrown.push(error)
        );
      }
      return [thrown, (await store.peek("api")).failureCount];
    },
    expected: [["text", 0, null, undefined], 4],
  },
  {
    situation: "a result can fail, and is returned all the same",
    peers: ["cockatiel", "Deno std"],
    ours: async () => {
      const { breaker } = memoryBreaker({
        classify: ({ result }) => result === -1 ? "failure" : "success",
      });
      const ends = [];
      for (let time = 0; time < 4; time++) {
        ends.push(await endOf(() => breaker.execute("api", () => -1)));
      }
      return ends;
    },
    expected: ["returned -1", "returned -1", "returned -1", "refused"],
    oracles: {
      cockatiel: async () => {
        const breaker = cockatiel.circuitBreaker(
          cockatiel.handleWhenResult((result) => result === -1),
          {
            halfOpenAfter: 60_000,
            breaker: new cockatiel.ConsecutiveBreaker(3),
          },
        );
        const ends = [];
        for (let time = 0; time < 4; time++) {
          ends.push(await endOf(() => breaker.execute(() => -1)));
        }
        return ends;
      },
    },
  },
  {
    situation: "an error that is no failure reaches the caller, opens nothing and has no fallback",
    peers: ["opossum", "cockatiel", "Deno std"],
    ours: async () => {
      const { breaker } = memoryBreaker({ classify: () => "success", fallback: () => "fallback" });
      const ends = [];
      for (let time = 0; time < 5; time++) {
        ends.push(await endOf(() => breaker.execute("api", down)));
      }
      return ends;
    },
    expected: Array(5).fill("threw down"),
    oracles: {
      opossum: () =>
        withOpossum(async (breaker) => {
          breaker.fallback(() => "fallback");
          const ends = [];
          for (let time = 0; time < 5; time++) ends.push(await endOf(() => breaker.fire(down)));
          return ends;
        }, { errorFilter: () => true }),
    },
  },
  {
    situation: "a fallback stands in for failures, refusals and late calls, each once",
    peers: ["opossum"],
    ours: async () => {
      using _ = keepingAlive();
      const { breaker, log } = hastyBreaker({ fallback: () => "fallback" });
      const ends = [await endOf(() => breaker.execute("api", () => new Promise(() => {})))];
      for (let time = 0; time < 3; time++) {
        ends.push(await endOf(() => breaker.execute("api", down)));
      }
      return [ends, log.filter((line) => line === "fallback api").length];
    },
    expected: [Array(4).fill("returned fallback"), 4],
    oracles: {
      opossum: () =>
        withOpossum(async (breaker) => {
          let fallbacks = 0;
          breaker.fallback(() => "fallback");
          breaker.on("fallback", () => fallbacks++);
          const ends = [await endOf(() => breaker.fire(() => new Promise(() => {})))];
          for (let time = 0; time < 3; time++) ends.push(await endOf(() => breaker.fire(down)));
          return [ends, fallbacks];
        }, { timeout: 20 }),
    },
  },
  {
    situation: "a fallback that throws or rejects: the caller gets that error",
    peers: ["opossum"],
    ours: async () => {
      const ends = [];
      const fallbacks = [() => Promise.reject(new Error("rejected")), () => {
        throw new Error("thrown");
      }];
      for (const fallback of fallbacks) {
        ends.push(await endOf(() => memoryBreaker({ fallback }).breaker.execute("api", down)));
      }
      return ends;
    },
    expected: ["threw rejected", "threw thrown"],
    oracles: {
      opossum: async () => {
        const ends = [];
        const fallbacks = [() => Promise.reject(new Error("rejected")), () => {
          throw new Error("thrown");
        }];
        for (const fallback of fallbacks) {
          ends.push(
            await withOpossum((breaker) => {
              breaker.fallback(fallback);
              return endOf(() => breaker.fire(down));
            }),
          );
        }
        return ends;
      },
    },
  },
  {
    situation: "a fallback that is a breaker itself",
    peers: ["opossum"],
    ours: async () => {
      const other = memoryBreaker().breaker;
      const { breaker } = memoryBreaker({ fallback: () => other.execute("other", () => "other") });
      return await endOf(() => breaker.execute("api", down));
    },
    expected: "returned other",
  },
  {
    situation: "a breaker within a breaker: the inner one's refusals open only the inner circuit",
    peers: ["opossum", "cockatiel"],
    because: "a refusal says nothing about the outer upstream, which was not asked",
    ours: async () => {
      const { breaker: outer } = memoryBreaker();
      const { breaker: inner } = memoryBreaker();
      await fail(inner, "inner", 3);
      for (let time = 0; time < 5; time++) {
        await endOf(() => outer.execute("outer", () => inner.execute("inner", () => 1)));
      }
      return await endOf(() => outer.execute("outer", () => "still closed"));
    },
    expected: "returned still closed",
    oracles: {
      cockatiel: async () => {
        const [outer, inner] = [newCockatiel(), newCockatiel()];
        for (let time = 0; time < 3; time++) await endOf(() => inner.execute(down));
        for (let time = 0; time < 5; time++) {
          await endOf(() => outer.execute(() => inner.execute(() => 1)));
        }
        return await endOf(() => outer.execute(() => "still closed"));
      },
    },
  },
  {
    situation: "a function that calls its own circuit",
    peers: ["cockatiel"],
    ours: async () => {
      const { breaker, store } = memoryBreaker();
      const nested: (depth: number) => Promise<number> = (depth) =>
        breaker.execute("api", async () => depth === 0 ? 0 : 1 + await nested(depth - 1));
      return [await nested(5), (await store.peek("api")).successCount];
    },
    expected: [5, 6],
  },
  {
    situation: "a probe that calls its own circuit is refused there, and waits for nothing",
    peers: ["cockatiel"],
    because: "its own call would otherwise wait for itself without end",
    ours: async () => {
      const { breaker, clock } = memoryBreaker();
      await fail(breaker, "api", 3);
      clock.at += 10_000;
      return await endOf(() =>
        breaker.execute("api", () => endOf(() => breaker.execute("api", () => 1)))
      );
    },
    expected: "returned refused",
  },
  {
    situation: "a signal that has aborted before: nothing is called",
    peers: ["cockatiel"],
    because: "a call that nobody waits for is a waste, and its failure is no news",
    ours: async () => {
      let calls = 0;
      const end = await endOf(() =>
        memoryBreaker().breaker.execute("api", () => calls++, {
          signal: AbortSignal.abort(new Error("gone")),
        })
      );
      return [end, calls];
    },
    expected: ["threw gone", 0],
    oracles: {
      cockatiel: async () => {
        let calls = 0;
        const end = await endOf(() => newCockatiel().execute(() => calls++, AbortSignal.abort()));
        return [end, calls];
      },
    },
  },
  {
    situation: "a caller who gives up during a call gets the reason at once, and nothing counts",
    peers: ["cockatiel"],
    ours: async () => {
      const { breaker, store } = memoryBreaker();
      const controller = new AbortController();
      const never = pending();
      const end = endOf(() => breaker.execute("api", never.call, { signal: controller.signal }));
      await never.called;
      controller.abort(new Error("gone"));
      const { failureCount, successCount } = await store.peek("api");
      return [await end, failureCount, successCount];
    },
    expected: ["threw gone", 0, 0],
  },
  {
    situation: "the function's signal follows the caller's",
    peers: ["cockatiel"],
    ours: async () => {
      const reasons: unknown[] = [];
      for (const callTimeoutMs of [undefined, 60_000]) {
        const controller = new AbortController();
        const { breaker } = memoryBreaker({ callTimeoutMs });
        await endOf(() =>
          breaker.execute("api", ({ signal }) => {
            controller.abort("gone");
            reasons.push(signal.aborted, signal.reason);
          }, { signal: controller.signal })
        );
      }
      return reasons;
    },
    expected: [true, "gone", true, "gone"],
  },
  {
    situation: "a call that takes too long is ended whether or not it heeds its signal",
    peers: ["opossum", "cockatiel"],
    ours: async () => {
      using _ = keepingAlive();
      const { breaker } = hastyBreaker();
      return [
        await endOf(() => breaker.execute("api", () => new Promise(() => {}))),
        await endOf(() =>
          breaker.execute(
            "api",
            ({ signal }) =>
              new Promise((_, reject) =>
                signal.addEventListener("abort", () => reject(signal.reason))
              ),
          )
        ),
      ];
    },
    expected: ["timed out", "timed out"],
    oracles: {
      opossum: async () =>
        await withOpossum(async (breaker) => [
          await endOf(() => breaker.fire(() => new Promise(() => {}))),
          await endOf(() => breaker.fire(() => new Promise(() => {}))),
        ], { timeout: 20 }),
    },
  },
  {
    situation: "the signal of a call that ended in time does not abort",
    peers: ["opossum"],
    ours: async () => {
      using _ = keepingAlive();
      const { breaker } = hastyBreaker();
      let signal: { aborted: boolean } | undefined;
      await breaker.execute("api", (context) => void (signal = context.signal));
      await endOf(() => breaker.execute("other", () => new Promise(() => {})));
      return signal!.aborted;
    },
    expected: false,
  },
  {
    situation: "calls that are under way when a breaker is shut down go on, and so do later ones",
    peers: ["opossum"],
    because:
      "a gateway that drains still answers requests, and its circuits are those of the fleet",
    ours: async () => {
      const { breaker, store } = memoryBreaker();
      const slow = pending();
      const end = endOf(() => breaker.execute("api", slow.call));
      await slow.called;
      await breaker.close();
      slow.resolve("drained");
      const later = await endOf(() => breaker.execute("api", () => "later"));
      return [await end, later, (await store.peek("api")).successCount];
    },
    expected: ["returned drained", "returned later", 2],
    oracles: {
      opossum: () =>
        withOpossum(async (breaker) => {
          breaker.shutdown();
          return [await endOf(() => breaker.fire(() => "later"))];
        }),
    },
  },
  {
    situation: "a listener that throws harms no call",
    peers: ["opossum"],
    because: "a mistake in a metric must not cost a request",
    ours: async () => {
      const { store } = memoryStore();
      const breaker = new CircuitBreaker(store);
      breaker.addEventListener("success", () => {
        throw new Error("listener");
      });
      return await endOf(() => breaker.execute("api", () => 1));
    },
    expected: "returned 1",
    oracles: {
      opossum: () =>
        withOpossum((breaker) => {
          breaker.on("success", () => {
            throw new Error("listener");
          });
          return endOf(() => breaker.fire(() => 1));
        }),
    },
  },
  {
    situation: "events say how long calls took",
    peers: ["opossum"],
    ours: async () => {
      const durations: boolean[] = [];
      const note = ({ durationMs }: { durationMs: number }) => durations.push(durationMs > 0);
      const { breaker } = memoryBreaker({ onSuccess: note, onFailure: note });
      const work = () => {
        const from = performance.now();
        while (performance.now() === from);
      };
      await breaker.execute("api", work);
      await endOf(() => breaker.execute("api", () => (work(), down())));
      return durations;
    },
    expected: [true, true],
  },
];
