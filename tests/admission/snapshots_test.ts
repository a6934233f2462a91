import { assertEquals } from "@std/assert";
import { Snapshots } from "../../src/admission/snapshots.ts";
import { ABSENT_CIRCUIT, type Circuit, type ForcedState } from "../../src/circuit.ts";
import type { PostgresCircuitBreakerStoreOptions } from "../../mod.ts";
import { rulesOf } from "../support/rules.ts";

const RESET = 10_000;
/** The server's clock. The caller's is an hour behind. */
const READ_AT = 5_000_000;
const HOUR = 3_600_000;

/** Shows circuits to a caller that takes the clocks to be `errorMs` further apart than they are. */
function snapshotsWith(errorMs = 0, options: PostgresCircuitBreakerStoreOptions = {}): Snapshots {
  return new Snapshots(rulesOf({ resetTimeoutMs: RESET, probeTimeoutMs: 4000, ...options }), {
    now: () => READ_AT - HOUR,
    toCaller: (time) => time === 0 ? 0 : time - HOUR + errorMs,
  });
}

function circuit(differing: Partial<Circuit>): Circuit {
  return { ...ABSENT_CIRCUIT, key: "api", readAt: READ_AT, ...differing };
}

function forced(differing: Partial<ForcedState> = {}): ForcedState {
  return {
    ...{ state: "open", at: READ_AT - 100, until: READ_AT + 3000, reason: "upgrade", by: "ops" },
    ...differing,
  };
}

const OPEN = circuit({ state: "open", lastStateChange: READ_AT - 7000 });
const HALF_OPEN = circuit({
  ...{ state: "half-open", lastStateChange: READ_AT - 1000, probeCount: 1 },
  probeExpiresAt: READ_AT + 3000,
});

/** For how long a snapshot makes the policy refuse, in milliseconds from now. */
function refusalMs(snapshots: Snapshots, of: Circuit, patienceMs = 0): number {
  const { state, lastStateChange } = snapshots.refusal(of, patienceMs);
  assertEquals(state, "open");
  return lastStateChange + RESET - (READ_AT - HOUR);
}

Deno.test("a refusal lasts until a probe may be admitted, in the caller's clock", () => {
  for (const  of of[OPEN, HALF_OPEN, circuit({ forced: forced() })]) {
    assertEquals(refusalMs(snapshotsWith(), of), 3000);
    assertEquals(snapshotsWith().waitMs(of, 0), 3000);
  }
  assertEquals(
    refusalMs(snapshotsWith(), circuit({ forced: forced({ until: undefined }) })),
    RESET,
  );
  assertEquals(
    snapshotsWith().waitMs(circuit({ forced: forced({ until: undefined }) }), 0),
    RESET,
  );
});

Deno.test("a wrong offset of the clocks makes no lease and no force longer, and moves no open circuit", () => {
  const late = snapshotsWith(500);
  assertEquals(refusalMs(late, HALF_OPEN), 3000);
  assertEquals(refusalMs(late, circuit({ forced: forced() })), 3000);
  assertEquals(refusalMs(late, OPEN), 3500);
  assertEquals(refusalMs(snapshotsWith(-500), HALF_OPEN), 2500);
});

Deno.test("an instance that waits for its own claim waits for so much longer, once it is due", () => {
  const due = circuit({ state: "open", lastStateChange: READ_AT - RESET });
  assertEquals(refusalMs(snapshotsWith(), due, 4000), 4000);
  assertEquals(snapshotsWith().waitMs(due, 4000), 4000);
  // Until then, the end of the open time is worth asking at.
  assertEquals(refusalMs(snapshotsWith(), OPEN, 4000), 3000);
  assertEquals(snapshotsWith().waitMs(OPEN, 4000), 3000);
  assertEquals(snapshotsWith().waitMs(due, 0), 1);
  assertEquals(snapshotsWith().waitMs(circuit({ ...OPEN, readAt: READ_AT + 0.5 }), 0), 3000);
});

Deno.test("without probes of the store's own, only a force keeps the policy from probing", () => {
  const snapshots = snapshotsWith(0, { resetTimeoutMs: undefined, probeTimeoutMs: undefined });
  assertEquals(snapshots.refusal(OPEN, 0), snapshots.snapshot(OPEN));
  assertEquals(snapshots.refusal(OPEN, 0).lastStateChange, OPEN.lastStateChange - HOUR);
  const refused = snapshots.refusal(circuit({ forced: forced() }), 0);
  assertEquals([refused.state, refused.lastStateChange], ["open", READ_AT - HOUR]);
  assertEquals(snapshots.waitMs(OPEN, 0), 1000);
});

Deno.test("a circuit that ramps up refuses for a second", () => {
  const options = { resetTimeoutMs: 1000, rampUpMs: 60_000 };
  const { state, lastStateChange } = snapshotsWith(0, options).rampRefusal(circuit({}));
  assertEquals([state, lastStateChange + 1000], ["open", READ_AT - HOUR + 1000]);
});

Deno.test("a force shows as long as it is in force, with what is known of it", () => {
  const snapshots = snapshotsWith();
  const { state, since, ...rest } = snapshots.force(circuit({ forced: forced() }))!;
  assertEquals([state, since], ["open", READ_AT - HOUR - 100]);
  assertEquals(rest, { until: READ_AT - HOUR + 3000, reason: "upgrade", by: "ops" });
  const bare = forced({ until: undefined, reason: undefined, by: undefined });
  assertEquals(snapshots.force(circuit({ forced: bare })), { state, since });
  assertEquals(snapshots.force(circuit({ forced: forced({ until: READ_AT }) })), undefined);
  const shown = snapshots.snapshot(circuit({ forced: forced() }));
  assertEquals([shown.state, shown.lastStateChange], ["open", since]);
});

Deno.test("a listing says when to ask again, where that is known", () => {
  const retryAt = (differing: Partial<Circuit>, options = {}) =>
    snapshotsWith(0, options).listing({ ...circuit(differing), refusedCount: 0 }).retryAt;
  assertEquals(retryAt(OPEN), READ_AT - HOUR + 3000);
  assertEquals(retryAt(HALF_OPEN), READ_AT - HOUR + 3000);
  assertEquals(retryAt({ forced: forced() }), READ_AT - HOUR + 3000);
  assertEquals(retryAt({ ...OPEN, forced: forced({ state: "closed" }) }), undefined);
  assertEquals(retryAt({ forced: forced({ until: undefined }) }), undefined);
  assertEquals(retryAt({}), undefined);
  assertEquals(retryAt(OPEN, { resetTimeoutMs: undefined, probeTimeoutMs: undefined }), undefined);
  const { cause, actor, ...rest } = snapshotsWith().listing({ ...circuit({}), refusedCount: 3 });
  assertEquals([cause, actor, "reason" in rest, rest.refusedCount], ["", "", false, 3]);
});
