/** What docs/migrating.md says of opossum, compared with opossum itself. */

import {
  CircuitBreaker,
  InMemoryCircuitBreakerStore,
  isCircuitOpenError,
} from "@circuit-breaker/postgres";
import { assert, assertEquals } from "@std/assert";
import Opossum from "opossum";
import { ROOT } from "../../scripts/workspace.ts";
import { endOf, withOpossum } from "../breaker/peers.ts";

const down = () => Promise.reject(new Error("down"));

Deno.test("the page names every option and every member of opossum", async () => {
  const page = await Deno.readTextFile(new URL("docs/migrating.md", ROOT));
  const prose = page.replace(/^```[^]*?^```$/gm, "");
  const named = new Set(prose.match(/`[^`\n]+`/g)!.map((code) => /\w+/.exec(code)?.[0]));
  await withOpossum((breaker) => {
    const { options } = breaker as unknown as { options: object };
    const { prototype } = Opossum as unknown as { prototype: object };
    const members = [
      ...Object.keys(options),
      ...Object.getOwnPropertyNames(Opossum),
      ...Object.getOwnPropertyNames(prototype),
    ];
    const notOurs = ["constructor", "prototype", "length"];
    const missing = members.filter((name) =>
      !named.has(name) && !name.startsWith("_") && !notOurs.includes(name)
    );
    assertEquals(missing, []);
    assert(members.length > 40, `${members}`);
    return Promise.resolve();
  });
});

Deno.test("the defaults of opossum are those that the page names", async () => {
  const page = await Deno.readTextFile(new URL("docs/migrating.md", ROOT));
  const defaults = new Opossum(down) as unknown as {
    options: Record<string, number>;
    volumeThreshold: number;
    shutdown(): void;
  };
  const { options, volumeThreshold } = defaults;
  for (
    const [name, value] of Object.entries({
      timeout: options.timeout!,
      errorThresholdPercentage: options.errorThresholdPercentage!,
      rollingCountTimeout: options.rollingCountTimeout!,
      resetTimeout: options.resetTimeout!,
      volumeThreshold,
    })
  ) {
    const shown = value.toLocaleString("en-US");
    assert(page.includes(`| \`${name}\`, ${shown} `), `${name} is ${shown}`);
  }
  defaults.shutdown();
});

Deno.test("at exactly the threshold opossum stays closed, and the store opens", async () => {
  const half = { errorThresholdPercentage: 50, volumeThreshold: 2 };
  const closed = await withOpossum(async (breaker) => {
    await breaker.fire(() => 1);
    await endOf(() => breaker.fire(down));
    return await endOf(() => breaker.fire(() => 2));
  }, half);
  assertEquals(closed, "returned 2");
  const store = new InMemoryCircuitBreakerStore({
    failureRateThreshold: 0.5,
    minimumThroughput: 2,
  });
  const breaker = new CircuitBreaker(store, { record: "await" });
  await breaker.execute("api", () => 1);
  await endOf(() => breaker.execute("api", down));
  assert(isCircuitOpenError(await breaker.execute("api", () => 2).catch((error) => error)));
});

Deno.test("opossum counts a full semaphore as a failure, and a filtered error as a success", async () => {
  await withOpossum(async (breaker) => {
    const events: string[] = [];
    for (const name of ["success", "failure", "semaphoreLocked"]) {
      breaker.on(name, () => void events.push(name));
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = breaker.fire(() => promise);
    const second = await breaker.fire(() => 1).catch((error) => error.code);
    assertEquals([second, events], ["ESEMLOCKED", ["semaphoreLocked", "failure"]]);
    resolve();
    await first;
  }, { capacity: 1 });
  await withOpossum(async (breaker) => {
    let successes = 0;
    breaker.on("success", () => void successes++);
    assertEquals([await endOf(() => breaker.fire(down)), successes], ["threw down", 1]);
  }, { errorFilter: () => true });
});
