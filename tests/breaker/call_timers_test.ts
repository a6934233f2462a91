import { assertEquals } from "@std/assert";
import { CallTimers, RequestCallTimers, type TimedCall } from "../../src/breaker/call_timers.ts";

for (const Timers of [CallTimers, RequestCallTimers]) {
  Deno.test(`${Timers.name} ends the calls that are not removed, each once`, async () => {
    const timers = new Timers(30);
    const expired: string[] = [];
    const last = Promise.withResolvers<void>();
    const callOf = (name: string): TimedCall => ({
      dueAt: 0,
      previous: undefined,
      next: undefined,
      expire() {
        expired.push(name);
        if (name === "last") last.resolve();
      },
    });
    const [first, removed, late] = [callOf("first"), callOf("removed"), callOf("last")];
    for (const call of [first, removed, late]) timers.add(call, performance.now());
    timers.remove(removed);
    const alive = setTimeout(() => {}, 10_000);
    await last.promise;
    clearTimeout(alive);
    assertEquals(expired, ["first", "last"]);
  });
}
