import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ChangeListener, Histories, History } from "../../src/ports.ts";
import { SchemaError, StoreUnavailableError } from "../../src/errors.ts";
import { IMMEDIATE_CALL } from "../../src/time/call.ts";
import { Watches } from "../../src/feed/watch.ts";

/** Circuits and a feed under a test's control. The test answers every look itself. */
class Stage {
  readonly looks: PromiseWithResolvers<Histories>[] = [];
  readonly listeners = new Set<ChangeListener>();
  readonly watches: Watches;

  constructor(maxStalenessMs = 1e9) {
    this.watches = new Watches({
      circuits: {
        history: () => {
          this.looks.push(Promise.withResolvers());
          return this.looks.at(-1)!.promise;
        },
      },
      feed: {
        canListen: true,
        subscribe: (listener) => {
          this.listeners.add(listener);
          return () => this.listeners.delete(listener);
        },
      },
      clock: { now: () => 0, toCaller: (time) => time },
      begin: () => IMMEDIATE_CALL,
      maxStalenessMs,
    });
  }

  notify(): void {
    for (const listener of this.listeners) listener.onChange("digest", 1);
  }

  async answer(...circuits: History[]): Promise<void> {
    this.looks.at(-1)!.resolve({ circuits, readAt: 100 });
    await settled();
  }

  async fail(error: Error): Promise<void> {
    this.looks.at(-1)!.reject(error);
    await settled();
  }
}

/** Resolves once all pending promise jobs have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function opened(key: string): History {
  return {
    key,
    version: 1,
    state: "open",
    since: 1,
    changes: [{ version: 1, at: 1, state: "open" }],
  };
}

Deno.test("watch looks once at a time, and once more for all that was announced meanwhile", async () => {
  const stage = new Stage();
  const changes = stage.watches.begin({});
  for (let i = 0; i < 1000; i++) stage.notify();
  assertEquals(stage.looks.length, 1);
  await stage.answer();
  assertEquals(stage.looks.length, 2);
  await stage.answer(opened("api"));
  assertEquals(stage.looks.length, 2);
  assertEquals((await changes.next()).value?.key, "api");
  stage.notify();
  assertEquals(stage.looks.length, 3);
  stage.watches.end();
});

Deno.test("watch stops looking while a slow consumer has 10,000 changes to go", async () => {
  const stage = new Stage();
  const changes = stage.watches.begin({});
  await stage.answer();
  stage.notify();
  await stage.answer(...Array.from({ length: 10_000 }, (_, i) => opened(`${i}`)));
  assertEquals(stage.looks.length, 2);
  for (let i = 0; i < 1000; i++) stage.notify();
  for (let i = 0; i < 9999; i++) assertEquals((await changes.next()).value?.key, `${i}`);
  assertEquals(stage.looks.length, 2);
  await changes.next();
  assertEquals(stage.looks.length, 3);
  stage.watches.end();
});

Deno.test("watch goes on after an outage, also at the first look", async () => {
  const stage = new Stage(1);
  const changes = stage.watches.begin({});
  const next = changes.next();
  await stage.fail(new StoreUnavailableError("Cannot read changes: away"));
  while (stage.looks.length < 2) await settled();
  await stage.answer();
  while (stage.looks.length < 3) await settled();
  await stage.fail(new SchemaError("Cannot read changes: gone for a moment"));
  while (stage.looks.length < 4) await settled();
  await stage.answer(opened("api"));
  assertEquals((await next).value?.key, "api");
  stage.watches.end();
});

Deno.test("watch reports a first look that cannot succeed, once, and is over", async () => {
  for (const asksBefore of [true, false]) {
    const stage = new Stage();
    const changes = stage.watches.begin({});
    const asked = asksBefore ? assertRejects(() => changes.next(), SchemaError) : undefined;
    await stage.fail(new SchemaError("Cannot read changes: no table"));
    await (asked ?? assertRejects(() => changes.next(), SchemaError));
    assertEquals(await changes.next(), { done: true, value: undefined });
    assertEquals(stage.listeners.size, 0);
  }
});

Deno.test("watch ends in every way, leaves nothing behind and answers all pending calls", async () => {
  const over = { done: true, value: undefined } as const;
  const ways: ((
    stage: Stage,
    changes: AsyncIterator<unknown>,
    controller: AbortController,
  ) => unknown)[] = [
    (_stage, _changes, controller) => controller.abort(),
    (_stage, changes) => changes.return!(),
    (stage) => stage.watches.end(),
  ];
  for (const end of ways) {
    for (const isLooking of [true, false]) {
      const stage = new Stage(5);
      const controller = new AbortController();
      const changes = stage.watches.begin({ signal: controller.signal });
      const waiting = [changes.next(), changes.next()];
      if (!isLooking) await stage.answer();
      await end(stage, changes, controller);
      assertEquals(await Promise.all(waiting), [over, over]);
      assertEquals(stage.listeners.size, 0);
      await stage.answer(opened("late"));
      assertEquals(await changes.next(), over);
      assertEquals(stage.looks.length, 1);
    }
  }
});

Deno.test("watch with an aborted signal, or of an ended store, does nothing at all", async () => {
  const stage = new Stage();
  const aborted = stage.watches.begin({ signal: AbortSignal.abort() });
  stage.watches.end();
  const late = stage.watches.begin({});
  for (const changes of [aborted, late]) {
    assertEquals(await changes.next(), { done: true, value: undefined });
  }
  assertEquals([stage.looks.length, stage.listeners.size], [0, 0]);
});

Deno.test("watch removes its listener from a signal that lives on", () => {
  const stage = new Stage();
  let listeners = 0;
  const signal = {
    aborted: false,
    addEventListener: () => void listeners++,
    removeEventListener: () => void listeners--,
  };
  const changes = stage.watches.begin({ signal });
  assertEquals(listeners, 1);
  void changes.return!();
  assertEquals(listeners, 0);
  assert(stage.looks.length === 1);
});
