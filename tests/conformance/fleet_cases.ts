/** Probes of several instances on the same circuits, and results that come too late. */

import { assertEquals } from "@std/assert";
import {
  ask,
  assertMovesNothing,
  assertRefused,
  assertState,
  assertVersion,
  BREAKER,
  KEY,
  LEASE,
  probe,
  report,
  RESET,
  trip,
  tripUntilDue,
} from "./breaking.ts";
import { type ConformanceStore, type Fleet, oneTo, type Suite } from "./session.ts";

/** What may happen to a circuit while the first instance's probe is under way. */
const MEANWHILE: Record<string, (fleet: Fleet, other: ConformanceStore) => Promise<void>> = {
  "its lease ended and another probes": async ({ clock }, other) => {
    clock.at += LEASE;
    await probe(other);
  },
  "another's probe succeeded": async ({ clock }, other) => {
    clock.at += LEASE;
    await probe(other);
    await report(other, "success");
  },
  "another's probe failed": async ({ clock }, other) => {
    clock.at += LEASE;
    await probe(other);
    await report(other, "failure");
  },
  "the circuit was closed by hand": async ({ clock }, other) => {
    clock.at += 100;
    await other.transition(KEY, "closed");
  },
  "the circuit recovered and opened again": async ({ clock }, other) => {
    clock.at += LEASE;
    await probe(other);
    await report(other, "success");
    clock.at += 100;
    await trip(other);
  },
  "the circuit was reset": (_, other) => other.reset(KEY),
  "the circuit was reset and came to a probe again": async ({ clock }, other) => {
    await other.reset(KEY);
    await trip(other);
    clock.at += RESET;
    await probe(other);
  },
  "it was forced open": async (_, other) => void await other.forceOpen(KEY),
  "it was forced closed": async (_, other) => void await other.forceClosed(KEY),
  "it was forced and released": async (_, other) => {
    await other.forceClosed(KEY);
    await other.release(KEY);
  },
  "it was forced for a while that is over": async ({ clock }, other) => {
    await other.forceClosed(KEY, { forMs: 100 });
    clock.at += 100;
  },
};

export function fleetTests({ fleet }: Suite): void {
  for (const halfOpenMax of [1, 3]) {
    const options = { ...BREAKER, halfOpenMax };
    fleet(`three instances at expiry send ${halfOpenMax} in all`, options, async (f) => {
      const stores = [f.store, f.another(), f.another()];
      await tripUntilDue(f);
      for (const round of oneTo(10)) {
        const { probes, retryAfters } = await ask(stores, 10, f.clock.at);
        assertEquals(probes, halfOpenMax);
        assertEquals(retryAfters, Array(30 - halfOpenMax).fill(LEASE / 1000));
        await assertVersion(f, 1 + round);
        assertEquals((await f.row(KEY))!.probeCount, halfOpenMax);
        // The probes of the round hang: their instances wait for one more lease.
        f.clock.at += 2 * LEASE;
      }
    });

    fleet(`of ${halfOpenMax} probes on three instances the first decides`, options, async (f) => {
      const stores = [f.store, f.another(), f.another()];
      await tripUntilDue(f);
      for (const store of stores.slice(0, halfOpenMax)) await probe(store);
      await report(stores[0]!, "failure");
      const opened = f.clock.at;
      f.clock.at += 100;
      await assertMovesNothing(f, async () => {
        for (const store of stores.slice(1, halfOpenMax)) await report(store, "success");
      });
      assertEquals((await f.store.peek(KEY)).lastStateChange, opened);
      await assertVersion(f, 3);
    });
  }

  for (const [name, happens] of Object.entries(MEANWHILE)) {
    for (const result of ["success", "failure"] as const) {
      fleet(`a late ${result} moves nothing when ${name}`, BREAKER, async (f) => {
        await tripUntilDue(f);
        await probe(f.store);
        await happens(f, f.another());
        await assertMovesNothing(f, () => report(f.store, result));
      });
    }
  }

  fleet("a slow probe still counts while no other instance probes", BREAKER, async (f) => {
    const other = f.another();
    await tripUntilDue(f);
    await probe(f.store);
    f.clock.at += 3 * LEASE;
    assertEquals((await report(f.store, "success")).state, "closed");
    assertEquals((await other.getState(KEY)).state, "closed");
  });

  fleet("a crashed instance's slot goes to another after the lease", BREAKER, async (f) => {
    const crashed = f.another();
    await tripUntilDue(f);
    await probe(crashed);
    f.clock.at += LEASE - 1;
    assertEquals((await ask([f.store, f.another()], 5, f.clock.at)).probes, 0);
    f.clock.at += 1;
    assertEquals((await ask([f.store, f.another()], 5, f.clock.at)).probes, 1);
    await assertVersion(f, 3);
  });

  fleet(
    "a slow probe and its one successor are two, and the successor decides",
    BREAKER,
    async (f) => {
      const successor = f.another();
      await tripUntilDue(f);
      await probe(f.store);
      f.clock.at += LEASE;
      await probe(successor);
      await assertMovesNothing(f, () => report(f.store, "failure"));
      await assertRefused(f, LEASE / 1000);
      assertEquals((await report(successor, "success")).state, "closed");
      await assertVersion(f, 4);
    },
  );

  fleet("a straggler of an instance that does not probe moves nothing", BREAKER, async (f) => {
    const straggler = f.another();
    await tripUntilDue(f);
    await assertMovesNothing(f, () => report(straggler, "failure"));
    await probe(f.store);
    f.clock.at += 100;
    await assertMovesNothing(f, () => report(straggler, "failure"));
    assertEquals((await report(f.store, "success")).state, "closed");
  });

  fleet("reports at the same moment move the circuit once", BREAKER, async (f) => {
    const stores = oneTo(4).map(() => f.another());
    await Promise.all(stores.flatMap((store) => oneTo(3).map(() => report(store, "failure"))));
    await assertState(f, "open");
    await assertVersion(f, 1);
    f.clock.at += RESET;
    await probe(f.store);
    await Promise.all([
      report(f.store, "success"),
      ...stores.map((store) => store.transition(KEY, "open")),
    ]);
    // A straggler's open before the success meets a half-open circuit, one after it a closed one.
    const { version } = (await f.row(KEY))!;
    const { state } = await f.store.peek(KEY);
    assertEquals(version, state === "closed" ? 3 : 4);
  });

  fleet("an instance that starts later takes part at once", BREAKER, async (f) => {
    await trip(f.store);
    await assertRefused({ store: f.another(), clock: f.clock }, 30);
    f.clock.at += RESET;
    const late = f.another();
    await probe(late);
    await assertRefused({ store: f.another(), clock: f.clock }, LEASE / 1000);
    await report(late, "success");
    assertEquals((await f.another().getState(KEY)).state, "closed");
  });

  fleet(
    "a round made without these options gets a leased probe",
    { failureThreshold: 3 },
    async (f) => {
      const stores = [f.another(BREAKER), f.another(BREAKER)];
      await f.store.transition(KEY, "open");
      f.clock.at += RESET;
      await f.store.transition(KEY, "half-open");
      assertEquals((await f.row(KEY))!.probeExpiresAt, 0);
      assertEquals((await ask(stores, 5, f.clock.at)).probes, 1);
      assertEquals((await f.row(KEY))!.probeExpiresAt, f.clock.at + LEASE);
    },
  );
}
