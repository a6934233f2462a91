import { assertEquals } from "@std/assert";
import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { Observation, observationOf } from "../../src/metrics/observation.ts";

const GAUGES = {
  isOut: () => false,
  cacheAgeMs: () => undefined,
  pendingSuccesses: () => 0,
  pendingRefusals: () => 0,
};

Deno.test("Observation passes everything to each observer, and holds none when all have ended", () => {
  const observation = new Observation(GAUGES);
  const seen: string[] = [];
  const watch = (name: string) => observation.add({ onAdmitted: (key) => seen.push(name + key) });
  const [end, endOther] = [watch("one "), watch("other ")];
  observation.observer!.onAdmitted!("a", false);
  observation.observer!.onRefused!("a", "open");
  end();
  end();
  observation.observer!.onAdmitted!("b", false);
  endOther();
  assertEquals(seen, ["one a", "other a", "other b"]);
  assertEquals(observation.observer, undefined);
});

Deno.test("observationOf finds the stores of another build of the package, and nothing else", async () => {
  const copy: typeof import("../../src/metrics/observation.ts") = await import(
    `${"../../src/metrics/observation.ts"}?copy`
  );
  const store = new InMemoryCircuitBreakerStore();
  assertEquals(copy.observationOf(store), observationOf(store));
  assertEquals([{}, null, undefined, "text", 5].map(observationOf), Array(5).fill(undefined));
  // Nothing of it shows in what a program prints or copies of a store.
  assertEquals([Object.keys(store), JSON.stringify(store)], [[], "{}"]);
});
